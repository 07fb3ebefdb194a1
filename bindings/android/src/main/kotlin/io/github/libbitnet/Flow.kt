// SPDX-License-Identifier: MIT
@file:JvmName("BitnetFlow")

package io.github.libbitnet

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.runInterruptible

/**
 * [Session.generate] as a cold flow: each collection goes on from the session's tokens and the prompt. The text is computed
 * by [Dispatchers.Default], a piece at a time as the collector asks for it; cancelling the collector's coroutine stops the
 * computation as soon as a layer is done, also in the midst of a long prompt.
 */
fun Session.generateFlow(prompt: String, options: GenerateOptions = GenerateOptions()): Flow<String> =
    textOf { generate(prompt, options) }

/** [Session.chat] as such a flow. */
fun Session.chatFlow(messages: List<Message>, options: GenerateOptions = GenerateOptions()): Flow<String> =
    textOf { chat(messages, options) }

/**
 * The pieces from here on, computed in the same way: for those who also ask for [Generation.tokens], or by
 * [Generation.finish] why the text ended. There is one text: what one collector takes, no other gets.
 */
fun Generation.asFlow(): Flow<String> = textOf { this }

private fun textOf(start: () -> Generation): Flow<String> =
    flow {
        start().use { generation ->
            val pieces = generation.iterator()
            while (runInterruptible { pieces.hasAnother() }) emit(pieces.next())
        }
    }.flowOn(Dispatchers.Default).buffer(Channel.RENDEZVOUS)

/** The library cancels the call of a thread that is interrupted, and coroutines expect what Java's own calls throw then. */
private fun Iterator<String>.hasAnother(): Boolean =
    try {
        hasNext()
    } catch (e: BitnetException) {
        if (e.status() == Status.CANCELLED && Thread.interrupted()) throw InterruptedException()
        throw e
    }
