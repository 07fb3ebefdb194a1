// SPDX-License-Identifier: MIT
// Java: text is byte[], tokens are int[], floats are float[], what is large comes in a direct ByteBuffer; enums and all
// counts are int. The generated classes are called Native..., nobody outside the package sees them, and Reaper deletes
// what they stand for.

%include <enumsimple.swg>
// Constants are written out, so that the classes that use them load without the library.
%javaconst(1);
%apply int { unsigned int, uint32_t };
%apply long long { unsigned long long, uint64_t };

%{
#include <climits>
#include <memory>

namespace {

// What C++ calls of the hand-written classes; found once, when the library is loaded.
JavaVM* machine = nullptr;
jclass exception_class = nullptr;
jmethodID make_exception = nullptr;
jclass piece_class = nullptr;
jmethodID make_piece = nullptr;
jclass bytes_class = nullptr;
jclass thread_class = nullptr;
jmethodID current_thread = nullptr;
jmethodID is_interrupted = nullptr;

jsize java_size(size_t size) {
  if (size > INT_MAX) throw Error{BITNET_ERROR_MEMORY, "the result is larger than an array of Java can be"};
  return static_cast<jsize>(size);
}

// Null, with the JVM's OutOfMemoryError pending, if there is no memory; so are all that make a Java object.
jbyteArray to_bytes(JNIEnv* jenv, std::string_view text) {
  const jsize size = java_size(text.size());
  jbyteArray bytes = jenv->NewByteArray(size);
  if (bytes != nullptr) jenv->SetByteArrayRegion(bytes, 0, size, reinterpret_cast<const jbyte*>(text.data()));
  return bytes;
}

static_assert(sizeof(jint) == sizeof(bitnet_token));  // a long on Windows

jintArray to_ints(JNIEnv* jenv, const std::vector<bitnet_token>& tokens) {
  const jsize size = java_size(tokens.size());
  jintArray ints = jenv->NewIntArray(size);
  if (ints != nullptr) jenv->SetIntArrayRegion(ints, 0, size, reinterpret_cast<const jint*>(tokens.data()));
  return ints;
}

jfloatArray to_floats(JNIEnv* jenv, const std::vector<float>& values) {
  const jsize size = java_size(values.size());
  jfloatArray floats = jenv->NewFloatArray(size);
  if (floats != nullptr) jenv->SetFloatArrayRegion(floats, 0, size, values.data());
  return floats;
}

jobjectArray to_texts(JNIEnv* jenv, const std::vector<std::string>& texts) {
  const jsize size = java_size(texts.size());
  jobjectArray array = jenv->NewObjectArray(size, bytes_class, nullptr);
  for (jsize i = 0; array != nullptr && i < size; i++) {
    jbyteArray text = to_bytes(jenv, texts[static_cast<size_t>(i)]);
    if (text == nullptr) return nullptr;
    jenv->SetObjectArrayElement(array, i, text);
    jenv->DeleteLocalRef(text);
  }
  return array;
}

jobject to_piece(JNIEnv* jenv, const Piece& piece) {
  jbyteArray text = to_bytes(jenv, piece.text);
  if (text == nullptr) return nullptr;
  return jenv->NewObject(piece_class, make_piece, text, static_cast<jint>(piece.token),
                         static_cast<jint>(piece.finish));
}

void raise(JNIEnv* jenv, bitnet_status status, std::string_view message) {
  if (jenv->ExceptionCheck()) return;
  jbyteArray text = to_bytes(jenv, message);
  if (text == nullptr) return;
  jobject exception = jenv->CallStaticObjectMethod(exception_class, make_exception, static_cast<jint>(status), text);
  if (!jenv->ExceptionCheck()) jenv->Throw(static_cast<jthrowable>(exception));
}

// Thread.interrupt() cancels the call that the thread is in.
bool thread_is_interrupted() {
  JNIEnv* jenv = nullptr;
  if (machine->GetEnv(reinterpret_cast<void**>(&jenv), JNI_VERSION_1_6) != JNI_OK) return false;
  if (jenv->ExceptionCheck()) return true;
  // An exception, such as from a stack that is full, cancels the call, too, and comes out of it.
  jobject thread = jenv->CallStaticObjectMethod(thread_class, current_thread);
  if (jenv->ExceptionCheck()) return true;
  const bool result = jenv->CallBooleanMethod(thread, is_interrupted) != JNI_FALSE;
  jenv->DeleteLocalRef(thread);
  return jenv->ExceptionCheck() || result;
}

jclass find_class(JNIEnv* jenv, const char* name) {
  jclass local = jenv->FindClass(name);
  if (local == nullptr) return nullptr;
  return static_cast<jclass>(jenv->NewGlobalRef(local));
}

// Leaves a Java exception pending and returns false if something is not as the classes beside this file are.
bool find_java(JNIEnv* jenv) {
  return (exception_class = find_class(jenv, "io/github/libbitnet/BitnetException")) != nullptr &&
         (make_exception = jenv->GetStaticMethodID(exception_class, "of",
                                                   "(I[B)Lio/github/libbitnet/BitnetException;")) != nullptr &&
         (piece_class = find_class(jenv, "io/github/libbitnet/Piece")) != nullptr &&
         (make_piece = jenv->GetMethodID(piece_class, "<init>", "([BII)V")) != nullptr &&
         (bytes_class = find_class(jenv, "[B")) != nullptr &&
         (thread_class = find_class(jenv, "java/lang/Thread")) != nullptr &&
         (current_thread = jenv->GetStaticMethodID(thread_class, "currentThread", "()Ljava/lang/Thread;")) != nullptr &&
         (is_interrupted = jenv->GetMethodID(thread_class, "isInterrupted", "()Z")) != nullptr;
}

// Leaves an UnsatisfiedLinkError pending and returns false if the classes are of another version than this library.
bool check_version(JNIEnv* jenv) {
  jclass library = jenv->FindClass("io/github/libbitnet/NativeLibrary");
  jmethodID check = library != nullptr ? jenv->GetStaticMethodID(library, "checkVersion", "([B)V") : nullptr;
  jbyteArray text = check != nullptr ? to_bytes(jenv, version()) : nullptr;
  if (text == nullptr) return false;
  jenv->CallStaticVoidMethod(library, check, text);
  return !jenv->ExceptionCheck();
}

// Copies of arrays, for what a wrapper is called with. A null array leaves a NullPointerException pending.
template <typename T, typename Array, void (JNIEnv::*Get)(Array, jsize, jsize, T*)>
bool read_array(JNIEnv* jenv, Array array, std::vector<T>* items) try {
  if (array == nullptr) {
    SWIG_JavaThrowException(jenv, SWIG_JavaNullPointerException, "null array");
    return false;
  }
  items->resize(static_cast<size_t>(jenv->GetArrayLength(array)));
  (jenv->*Get)(array, 0, static_cast<jsize>(items->size()), items->data());
  return true;
} catch (const std::bad_alloc&) {
  SWIG_JavaThrowException(jenv, SWIG_JavaOutOfMemoryError, "no memory for a copy of an array");
  return false;
}

}  // namespace

#define bitnet_raise(status, message) raise(jenv, status, message)

extern "C" JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void*) {
  JNIEnv* jenv = nullptr;
  if (vm->GetEnv(reinterpret_cast<void**>(&jenv), JNI_VERSION_1_6) != JNI_OK) return JNI_ERR;
  if (!check_version(jenv) || !find_java(jenv)) return JNI_ERR;
  machine = vm;
  interrupted = thread_is_interrupted;
  return JNI_VERSION_1_6;
}
%}

%define BITNET_FAIL return $null %enddef

// array_argument(C++ type, its item, Java type, JNI array, JNI item, JNIEnv's function)
%define array_argument(TYPE, ITEM, JAVA, ARRAY, JNI_ITEM, GET)
%typemap(jni) TYPE #ARRAY
%typemap(jtype) TYPE #JAVA "[]"
%typemap(jstype) TYPE #JAVA "[]"
%typemap(javain) TYPE "$javainput"
%typemap(in) TYPE (std::vector<JNI_ITEM> copy) {
  if (!read_array<JNI_ITEM, ARRAY, &JNIEnv::GET>(jenv, $input, &copy)) return $null;
  $1 = {reinterpret_cast<const ITEM*>(copy.data()), copy.size()};
}
%enddef
array_argument(std::string_view, char, byte, jbyteArray, jbyte, GetByteArrayRegion)
array_argument(bitnet::binding::Tokens, bitnet_token, int, jintArray, jint, GetIntArrayRegion)
array_argument(bitnet::binding::Floats, float, float, jfloatArray, jfloat, GetFloatArrayRegion)

%typemap(jni) std::string_view data "jobject"
%typemap(jtype) std::string_view data "java.nio.ByteBuffer"
%typemap(jstype) std::string_view data "java.nio.ByteBuffer"
%typemap(in) std::string_view data {
  const char* address = static_cast<const char*>($input != nullptr ? jenv->GetDirectBufferAddress($input) : nullptr);
  const jlong size = address != nullptr ? jenv->GetDirectBufferCapacity($input) : 0;
  $1 = {address, static_cast<size_t>(size)};
}

%typemap(directorin, descriptor="[B") std::string_view %{
  $input = to_bytes(jenv, $1);
  Swig::LocalRefGuard $1_guard(jenv, $input);
%}
%typemap(javadirectorin) std::string_view "$jniinput"

// array_result(C++ type, Java type, JNI type, function, what that is called with)
%define array_result(TYPE, JAVA, ARRAY, MAKE, VALUE)
%typemap(jni) TYPE #ARRAY
%typemap(jtype) TYPE JAVA
%typemap(jstype) TYPE JAVA
%typemap(javaout) TYPE { return $jnicall; }
%typemap(out) TYPE {
  try {
    $result = MAKE(jenv, VALUE);
  } catch (const Error& error) {
    bitnet_raise(error.status, error.message);
  } catch (const std::bad_alloc&) {
    bitnet_raise(BITNET_ERROR_MEMORY, "out of memory");
  }
}
%enddef
array_result(std::string, "byte[]", jbyteArray, to_bytes, $1)
array_result(const char*, "byte[]", jbyteArray, to_bytes, $1)
array_result(std::vector<std::string>, "byte[][]", jobjectArray, to_texts, $1)
array_result(std::vector<bitnet_token>, "int[]", jintArray, to_ints, $1)
array_result(std::vector<float>, "float[]", jfloatArray, to_floats, $1)
array_result(bitnet::binding::Piece, "Piece", jobject, to_piece, $1)
%ignore bitnet::binding::Piece;

// Rows of logits are copied: an object that forbids its session to change must not wait for a garbage collector.
array_result(bitnet::binding::Logits*, "float[]", jfloatArray, to_floats,
             std::unique_ptr<bitnet::binding::Logits>($1)->copy())
%ignore bitnet::binding::Logits;

// ------------------------------------------------------- the generated classes

%rename("Native%s", %$isclass) "";
%rename(NativePerf) bitnet_perf;
%typemap(javaclassmodifiers) SWIGTYPE "class"
%pragma(java) moduleclassmodifiers="final class"
%pragma(java) jniclassclassmodifiers="final class"
%pragma(java) jniclasscode=%{
  static {
    NativeLibrary.load();
  }
%}

%typemap(javafinalize) SWIGTYPE ""
%typemap(javadestruct, methodname="delete", methodmodifiers="private") SWIGTYPE ""
%typemap(javadestruct_derived, methodname="delete", methodmodifiers="private") SWIGTYPE ""
%typemap(directordisconnect, methodname="swigDirectorDisconnect") SWIGTYPE %{
  protected void $methodname() {}
%}
%typemap(directorowner_release, methodname="swigReleaseOwnership") SWIGTYPE " "
%typemap(directorowner_take, methodname="swigTakeOwnership") SWIGTYPE " "

%typemap(javabody) SWIGTYPE %{
  private final long swigCPtr;

  $javaclassname(long pointer, boolean owned) {
    swigCPtr = pointer;
    if (owned) Reaper.watch(this, pointer, $imclassname::delete_$javaclassname);
  }

  static long getCPtr($javaclassname object) {
    return object == null ? 0 : object.swigCPtr;
  }
%}
%typemap(javabody_derived) SWIGTYPE %{
  private final long swigCPtr;

  $javaclassname(long pointer, boolean owned) {
    super($imclassname.$javaclazznameSWIGUpcast(pointer), false);
    swigCPtr = pointer;
    if (owned) Reaper.watch(this, pointer, $imclassname::delete_$javaclassname);
  }

  static long getCPtr($javaclassname object) {
    return object == null ? 0 : object.swigCPtr;
  }
%}
