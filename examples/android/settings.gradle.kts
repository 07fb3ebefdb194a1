// SPDX-License-Identifier: MIT
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositories {
        mavenLocal()  // where `gradle publishToMavenLocal` in bindings/android puts the archive
        google()
        mavenCentral()
    }
}

rootProject.name = "story"
include(":app")
