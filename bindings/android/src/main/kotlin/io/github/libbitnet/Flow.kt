// SPDX-License-Identifier: MIT
@file:JvmName("BitnetFlow")

package io.github.libbitnet

import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.suspendCancellableCoroutine

/**
 * [Session.generate] as a cold flow: each collection goes on from the session's tokens and the prompt. The text is computed
 * a piece at a time as the collector asks for it, and no thread waits for it; what little else there is to do runs on
 * [Dispatchers.Default]. Cancelling the collector's coroutine stops the computation as soon as a layer is done, also in the
 * midst of a long prompt.
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
            while (true) {
                val piece = generation.awaitNext() ?: break
                emit(piece)
            }
        }
    }.flowOn(Dispatchers.Default).buffer(Channel.RENDEZVOUS)

/** The next piece, or null at the end. */
private suspend fun Generation.awaitNext(): String? =
    suspendCancellableCoroutine { continuation ->
        continuation.invokeOnCancellation { cancel() }
        nextAsync().whenComplete { piece: String?, error: Throwable? ->
            if (error == null) continuation.resume(piece) else continuation.resumeWithException(error)
        }
    }
