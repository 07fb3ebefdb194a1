// SPDX-License-Identifier: MIT
package org.example.story

import android.app.Activity
import android.os.Bundle
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.LinearLayout.LayoutParams
import android.widget.ScrollView
import android.widget.TextView
import io.github.libbitnet.BitnetException
import io.github.libbitnet.GenerateOptions
import io.github.libbitnet.Model
import io.github.libbitnet.SamplerOptions
import io.github.libbitnet.generateFlow
import java.io.File
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** Goes on with your text, piece by piece. The button starts and stops; leaving the activity stops, too. */
class StoryActivity : Activity() {
    private val scope = MainScope()
    private var writing: Job? = null
    private lateinit var text: TextView
    private lateinit var prompt: EditText
    private lateinit var button: Button

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        text = TextView(this).apply { textSize = 18f }
        prompt = EditText(this).apply { setText("It was a fine morning, and") }
        button = Button(this).apply {
            setText("Write")
            setOnClickListener { if (writing?.isActive == true) writing?.cancel() else write() }
        }
        setContentView(
            LinearLayout(this).apply {
                orientation = LinearLayout.VERTICAL
                addView(ScrollView(context).apply { addView(text) }, LayoutParams(LayoutParams.MATCH_PARENT, 0, 1f))
                addView(prompt)
                addView(button)
            },
        )
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    private fun write() {
        val beginning = prompt.text.toString()
        text.text = beginning
        button.text = "Stop"
        writing = scope.launch {
            try {
                tell(beginning)
            } catch (e: BitnetException) {
                text.append("\n\n${e.message}")
            } finally {
                button.text = "Write"
            }
        }
    }

    /** What computes runs on other threads; what it gives is shown on this one. */
    private suspend fun tell(beginning: String) {
        withContext(Dispatchers.IO) { Model.open(modelFile()) }.use { model ->
            withContext(Dispatchers.IO) { model.session() }.use { session ->
                val options = GenerateOptions().maxTokens(150).sampler(SamplerOptions().seed(1811).temperature(0.8f).minP(0.05f))
                session.generateFlow(beginning, options).collect { piece -> text.append(piece) }
            }
        }
    }

    /** An asset has no path. A plain file has one, and is mapped instead of read: copied once, under another name until whole. */
    private fun modelFile(): String {
        val file = File(filesDir, MODEL)
        if (!file.exists()) {
            val part = File(filesDir, "$MODEL.part")
            assets.open(MODEL).use { asset -> part.outputStream().use { asset.copyTo(it) } }
            check(part.renameTo(file)) { "cannot rename $part" }
        }
        return file.path
    }

    private companion object {
        const val MODEL = "austen.bitnet"
    }
}
