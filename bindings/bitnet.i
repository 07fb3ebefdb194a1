// SPDX-License-Identifier: MIT
// The module that SWIG makes for each language: native.h, and of bitnet.h the enums and the structs' numbers.
//
// typemaps.i, which SWIG finds in the language's folder by -I, says
//   how six shapes cross: std::string_view, Tokens and Floats as arguments (an array of bytes, ints, floats);
//     std::string, std::vector<std::string>, std::vector<bitnet_token> and std::vector<float> as results, and the
//     const char* of a struct, which is text as well;
//   bitnet_raise(status, message), a C++ function that leaves the language's exception pending, and BITNET_FAIL, the
//     statement that then leaves the wrapper.
%module(directors="1", threads="1") native

%{
#include "native.h"

using namespace bitnet::binding;
%}

%include <stdint.i>

// A Listener's methods are the only calls from C++ into the language.
%feature("director") bitnet::binding::Listener;

%naturalvar std::string;
namespace std {
class string;
class string_view;
template <typename T> class vector;
}

%include "typemaps.i"

%exception {
  try {
    $action
  } catch (const Error& error) {
    bitnet_raise(error.status, error.message.c_str());
    BITNET_FAIL;
  } catch (const std::bad_alloc&) {
    bitnet_raise(BITNET_ERROR_MEMORY, "out of memory");
    BITNET_FAIL;
  } catch (const std::exception& error) {
    bitnet_raise(BITNET_ERROR_INTERNAL, error.what());
    BITNET_FAIL;
  }
}

// What the classes of native.h have methods for; bindings/generate makes the list.
%include "api.i"
%ignore BITNET_API;
%ignore BITNET_AS_INT;
%ignore BITNET_NUL_TERMINATED;
%rename("$ignore", %$isfunction, %$not %$ismember) "";
%include <bitnet.h>
%rename("%s", %$isfunction, %$not %$ismember) "";

%newobject bitnet::binding::Model::open;
%newobject bitnet::binding::Model::open_memory;
%newobject bitnet::binding::Session::fork;
%newobject bitnet::binding::Session::logits;
%newobject bitnet::binding::Session::generate;
%newobject bitnet::binding::Session::generate_tokens;
%newobject bitnet::binding::Chat::reply;
%newobject bitnet::binding::Chat::regenerate;
%ignore bitnet::binding::Error;
%ignore bitnet::binding::interrupted;
%ignore bitnet::binding::ModelInfo::ModelInfo;
%ignore bitnet::binding::OpenOptions::get;
%ignore bitnet::binding::ConvertOptions::get;
%ignore bitnet::binding::SamplerOptions::get;
%ignore bitnet::binding::GenerateOptions::with;
%immutable bitnet::binding::Piece::text;
%include "native.h"
