// SPDX-License-Identifier: MIT
// What jni.h of any JDK includes of the system that it is for: Windows, where the JDK at hand is another system's.
// JNI specification, chapter 3.
#pragma once

#define JNIEXPORT __declspec(dllexport)
#define JNIIMPORT __declspec(dllimport)
#define JNICALL __stdcall

typedef long jint;
typedef long long jlong;
typedef signed char jbyte;
