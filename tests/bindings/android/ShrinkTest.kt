// SPDX-License-Identifier: MIT
package io.github.libbitnet.tests

import io.github.libbitnet.BitnetException
import io.github.libbitnet.GenerateOptions
import io.github.libbitnet.Model
import io.github.libbitnet.OpenOptions
import java.io.File
import java.nio.file.Path
import java.util.concurrent.TimeUnit
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import proguard.Configuration
import proguard.ConfigurationParser
import proguard.ProGuard

/** An app that is shrunk, optimised and renamed by the archive's rules, in which C++ still finds what it calls. */
class ShrinkTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun theRulesKeepWhatCppCalls() {
        val jar = folder.resolve("app.jar").toFile()
        shrink(jar)
        val names = ProcessBuilder("jar", "tf", "$jar").start().inputStream.reader().readText()
        assertFalse("io/github/libbitnet/Generation.class" in names, "nothing has been renamed:\n$names")

        val log = folder.resolve("log").toFile()
        val java = ProcessHandle.current().info().command().get()
        val app = ProcessBuilder(java, "-cp", "$jar", App::class.java.name).redirectErrorStream(true).redirectOutput(log).start()
        assertTrue(app.waitFor(60, TimeUnit.SECONDS))
        assertEquals("progress\nNOT_FOUND: true\ntext: true\n", log.readText())
        assertEquals(0, app.exitValue())
    }

    private fun shrink(jar: File) {
        val arguments = mutableListOf<String>()
        fun input(path: String, filter: String = "") = arguments.addAll(listOf("-injars", "'$path'($filter!META-INF/**)"))
        input(System.getProperty("bitnet.classes"))
        input(File(App::class.java.protectionDomain.codeSource.location.toURI()).path, "**/App*.class,")
        input(File(Unit::class.java.protectionDomain.codeSource.location.toURI()).path)
        arguments += listOf("-outjars", "'$jar'", "-libraryjars", "'${System.getProperty("java.home")}/jmods'(!**.jar;!module-info.class)")
        arguments += listOf("-include", "'${System.getProperty("bitnet.rules")}'", "-dontwarn", "-dontnote")
        arguments += listOf("-keep", "public class ${App::class.java.name} { public static void main(java.lang.String[]); }")
        arguments += listOf("-keepattributes", "*Annotation*,InnerClasses,EnclosingMethod")
        val configuration = Configuration()
        ConfigurationParser(arguments.toTypedArray(), System.getProperties()).use { it.parse(configuration) }
        ProGuard(configuration).execute()
    }
}

/** Makes C++ call back, raise an exception and make text. */
object App {
    @JvmStatic
    fun main(@Suppress("UNUSED_PARAMETER") arguments: Array<String>) {
        val model = System.getenv("BITNET_MODEL")
        var told = false
        val options = OpenOptions().verify(true).progress { _, _ -> true.also { told = true } }
        Model.open(model, options).use { opened ->
            if (told) println("progress")
            try {
                Model.open("$model.missing")
            } catch (e: BitnetException) {
                println("${e.status()}: ${model in e.message.orEmpty()}")
            }
            val text = opened.session().use { it.generate("It was", GenerateOptions().maxTokens(5)).readAll() }
            println("text: ${text.isNotEmpty()}")
        }
    }
}
