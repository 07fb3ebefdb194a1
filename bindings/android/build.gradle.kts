// SPDX-License-Identifier: MIT
// The Android archive: `gradle assembleRelease` writes build/outputs/aar/bitnet-android-release.aar, `gradle
// publishToMavenLocal` puts it where an app's Gradle finds it.
plugins {
    id("com.android.library") version "8.6.1"
    id("org.jetbrains.kotlin.android") version "1.9.24"
    id("maven-publish")
}

group = "io.github.libbitnet"
version = "0.2.0"

val generated = layout.buildDirectory.dir("generated/swig")

// The Java half of the JNI library. CMake runs the same script for the C++ half.
val generateJava by tasks.registering(Exec::class) {
    inputs.files("../java/generate.cmake", "../java/typemaps.i", "../bitnet.i", "../native.h", "../../include/bitnet.h")
    inputs.files(fileTree("../generate") { include("*.py") })
    outputs.dir(generated)
    val folder = generated.get().asFile
    commandLine("cmake", "-DSOURCES=$folder/java", "-DWRAPPER=$folder/java_wrap.cxx", "-P", "../java/generate.cmake")
}
// What the archive has inside is passed on under these; apps leave out META-INF/LICENSE of all archives, but not this folder.
val licences = layout.buildDirectory.dir("generated/licences")
val copyLicences by tasks.registering(Copy::class) {
    from("../../LICENSE", "../../LICENSE.third-party", "../../lib/text/jinja/LICENSE.unicode")
    into(licences.map { it.dir("META-INF/io.github.libbitnet") })
}
tasks.named("preBuild") { dependsOn(generateJava, copyLicences) }

android {
    namespace = "io.github.libbitnet"
    compileSdk = 35
    ndkVersion = "27.2.12479018"

    defaultConfig {
        minSdk = 26
        consumerProguardFiles("consumer-rules.pro")
        // The kernels are for 64-bit CPUs.
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
        externalNativeBuild {
            cmake {
                targets += "bitnet_java"
                // One copy of the C++ library inside: the only native library of this archive needs no other.
                arguments += "-DANDROID_STL=c++_static"
            }
        }
    }
    // A debug build of the kernels would crawl.
    buildTypes.configureEach {
        externalNativeBuild { cmake { arguments += "-DCMAKE_BUILD_TYPE=Release" } }
    }
    externalNativeBuild {
        cmake {
            path = file("CMakeLists.txt")
            version = "3.22.1+"
        }
    }
    sourceSets["main"].java.srcDirs("../java/src/main/java", generated.map { it.dir("java") })
    sourceSets["main"].resources.srcDir(licences)
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    kotlinOptions { jvmTarget = "11" }
    publishing { singleVariant("release") }
}

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.8.1")
}

publishing {
    publications.register<MavenPublication>("release") {
        artifactId = "bitnet-android"
        afterEvaluate { from(components["release"]) }
    }
}
