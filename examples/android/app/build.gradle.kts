// SPDX-License-Identifier: MIT
plugins {
    id("com.android.application") version "8.6.1"
    id("org.jetbrains.kotlin.android") version "1.9.24"
}

android {
    namespace = "org.example.story"
    compileSdk = 35
    defaultConfig {
        applicationId = "org.example.story"
        minSdk = 26
        targetSdk = 35
        versionCode = 1
        versionName = "1"
    }
    // The model that ships with libbitnet becomes an asset, stored as it is: it does not compress.
    sourceSets["main"].assets.srcDir("../../../models")
    androidResources { noCompress += "bitnet" }
    buildTypes["release"].isMinifyEnabled = true
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    kotlinOptions { jvmTarget = "11" }
}

dependencies { implementation("io.github.libbitnet:bitnet-android:0.2.0") }
