// SPDX-License-Identifier: MIT
// Python: text is bytes, tokens come from any buffer of int32 or iterable of ints and become lists, floats come from
// buffers. The wrappers release the global interpreter lock during every call.

// The modules' own open and eval may be called so.
#pragma SWIG nowarn=321

%begin %{
#define PY_SSIZE_T_CLEAN
%}

%{
#include <chrono>
#include <cstring>

namespace {

PyObject* make_error = nullptr;  // Python's function (status, message) -> exception

void bitnet_raise(bitnet_status status, const char* message) {
  // A signal handler's exception comes first: it is why the call was cancelled.
  if (PyErr_Occurred()) return;
  PyObject* text = PyUnicode_DecodeUTF8(message, static_cast<Py_ssize_t>(std::strlen(message)), "replace");
  if (text == nullptr) return;
  PyObject* error = PyObject_CallFunction(make_error, "iN", static_cast<int>(status), text);
  if (error == nullptr) return;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error)), error);
  Py_DECREF(error);
}

// Python's own handler of Ctrl-C only notes the signal; what follows from it happens when the interpreter is asked,
// which takes the lock that other threads may hold, and so is not done too often.
bool handle_signals() {
  using Clock = std::chrono::steady_clock;
  thread_local Clock::time_point next;
  const Clock::time_point now = Clock::now();
  if (now < next) return false;
  next = now + std::chrono::milliseconds(20);
  const PyGILState_STATE lock = PyGILState_Ensure();
  const bool raised = PyErr_CheckSignals() != 0;
  PyGILState_Release(lock);
  return raised;
}

// A contiguous buffer of some item type, or nothing.
class Buffer {
 public:
  ~Buffer() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }

  bool get(PyObject* object, const char* formats, size_t item) {
    if (!PyObject_CheckBuffer(object)) return false;
    if (PyObject_GetBuffer(object, &view_, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) {
      PyErr_Clear();
      return false;
    }
    if (view_.ndim > 1) return false;
    const char* format = view_.format != nullptr ? view_.format : "B";
    if (*format == '@' || *format == '=' || *format == '<') ++format;
    return view_.itemsize == static_cast<Py_ssize_t>(item) && std::strlen(format) == 1 &&
           std::strchr(formats, *format) != nullptr;
  }

  bool get_bytes(PyObject* object) { return PyObject_GetBuffer(object, &view_, PyBUF_SIMPLE) == 0; }

  template <typename T>
  std::span<const T> items() const {
    return {static_cast<const T*>(view_.buf), static_cast<size_t>(view_.len) / sizeof(T)};
  }

 private:
  Py_buffer view_ = {};
};

// A token, which item `index` of a parameter is.
bool read_token(PyObject* item, const char* name, Py_ssize_t index, std::vector<bitnet_token>* tokens) {
  PyObject* number = PyNumber_Index(item);
  if (number == nullptr) {
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyObject* type = PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(item)), "__name__");
      if (type != nullptr) PyErr_Format(PyExc_TypeError, "%s[%zd] must be int, not %S", name, index, type);
      Py_XDECREF(type);
    }
    return false;
  }
  int overflow = 0;
  const long value = PyLong_AsLongAndOverflow(number, &overflow);
  if (overflow != 0 || value != static_cast<bitnet_token>(value)) {
    const std::string message = std::string(name) + "[" + std::to_string(index) + "] is no token: it does not fit 32 bits";
    bitnet_raise(BITNET_ERROR_ARGUMENT, message.c_str());
  } else {
    tokens->push_back(static_cast<bitnet_token>(value));
  }
  Py_DECREF(number);
  return !PyErr_Occurred();
}

// The tokens of an iterable of ints.
bool read_tokens(PyObject* object, const char* name, std::vector<bitnet_token>* tokens) {
  PyObject* sequence = PySequence_Fast(object, "tokens must be a sequence of int");
  if (sequence == nullptr) return false;
  PyObject* list = PySequence_List(sequence);  // an item's __index__ may change the other one
  Py_DECREF(sequence);
  if (list == nullptr) return false;
  bool good = true;
  for (Py_ssize_t i = 0; good && i < PyList_Size(list); i++) good = read_token(PyList_GetItem(list, i), name, i, tokens);
  Py_DECREF(list);
  return good;
}

PyObject* to_bytes(std::string_view text) {
  return PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
}

template <typename Items, typename Make>
PyObject* to_list(const Items& items, const Make& make) {
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(items.size()));
  for (size_t i = 0; list != nullptr && i < items.size(); i++) {
    PyObject* item = make(items[i]);
    if (item == nullptr) {
      Py_CLEAR(list);
    } else {
      PyList_SetItem(list, static_cast<Py_ssize_t>(i), item);
    }
  }
  return list;
}

}  // namespace
%}

%define BITNET_FAIL SWIG_fail %enddef

%init %{
  interrupted = handle_signals;
%}

%exception set_make_error "$action";
%nothread set_make_error;
%inline %{
void set_make_error(PyObject* function) {
  Py_INCREF(function);
  Py_XDECREF(make_error);
  make_error = function;
}
%}

%typemap(in) std::string_view (Buffer buffer) {
  if (!buffer.get_bytes($input)) SWIG_fail;
  const auto bytes = buffer.items<char>();
  $1 = std::string_view(bytes.data(), bytes.size());
}
%typemap(directorin) std::string_view "$input = to_bytes($1);"

%typemap(in) bitnet::binding::Tokens (Buffer buffer, std::vector<bitnet_token> copy) {
  if (buffer.get($input, "il", sizeof(bitnet_token))) {
    $1 = buffer.items<bitnet_token>();
  } else {
    if (!read_tokens($input, "$1_name", &copy)) SWIG_fail;
    $1 = copy;
  }
}

%typemap(in) bitnet::binding::Floats (Buffer buffer) {
  if (!buffer.get($input, "f", sizeof(float))) {
    PyErr_SetString(PyExc_TypeError, "$1_name must be a contiguous array of 32-bit floats in one dimension");
    SWIG_fail;
  }
  $1 = buffer.items<float>();
}

%typemap(out) std::string "$result = to_bytes($1);"
%typemap(out) const std::string& "$result = to_bytes(*$1);"
%typemap(out) const char* "$result = to_bytes($1);"
%typemap(out) std::vector<std::string> "$result = to_list<$1_type>($1, [](const std::string& s) { return to_bytes(s); });"
%typemap(out) std::vector<bitnet_token> "$result = to_list<$1_type>($1, [](bitnet_token t) { return PyLong_FromLong(t); });"
%typemap(out) std::vector<float> "$result = to_list<$1_type>($1, [](float f) { return PyFloat_FromDouble(f); });"
