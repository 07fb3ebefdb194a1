// SPDX-License-Identifier: MIT
// C#: text is byte[], tokens int[], floats float[]. Arguments are pinned arrays; a result is given to a callback, which
// copies it, before the wrapper returns. Every proxy holds its object by a SafeHandle, so that neither the collector
// nor another thread can delete it during a call.

// The proxies' own names may be what C# calls otherwise.
#pragma SWIG nowarn=503,516

%{
struct BitnetSlice {
  const void* data;
  size_t size;  // in items
};

namespace {

// Crossing.cs: what is there for this thread once the wrapper has returned.
void (*give_error)(int status, const char* message, int64_t length) = nullptr;
void (*give_result)(const void* data, int64_t bytes) = nullptr;

void bitnet_raise(bitnet_status status, const char* message) {
  give_error(status, message, static_cast<int64_t>(std::string_view(message).size()));
}

// The type is named by the caller: SWIG may keep a result in a wrapper that converts to it.
template <typename Items>
int give(const Items& items) {
  give_result(items.data(), static_cast<int64_t>(items.size() * sizeof *items.data()));
  return 1;
}

int give_each(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) give<std::string>(text);
  return static_cast<int>(texts.size());
}

}  // namespace

extern "C" SWIGEXPORT const char* SWIGSTDCALL bitnet_csharp_version() { return bitnet_version_string(); }

extern "C" SWIGEXPORT void SWIGSTDCALL bitnet_csharp_set_callbacks(decltype(give_error) error,
                                                                   decltype(give_result) result) {
  give_error = error;
  give_result = result;
}
%}

%define BITNET_FAIL return $null %enddef
%feature("except:canthrow", "1");
%csconst(1);

// ---------------------------------------------------------- nothing is public
%pragma(csharp) moduleclassmodifiers="internal class"
%pragma(csharp) imclasscode=%{
  protected static readonly Crossing crossing = new Crossing();
%}
%typemap(csclassmodifiers) SWIGTYPE, SWIGTYPE *, SWIGTYPE & "internal class"
%typemap(csclassmodifiers) enum SWIGTYPE "internal enum"

// -------------------------------------------------------------------- handles
// A derived struct's one base is its beginning, so that both use one handle.
%typemap(csbody) SWIGTYPE %{
  protected readonly Handle swigCPtr;

  internal $csclassname(global::System.IntPtr cPtr, bool cMemoryOwn) : this(
      new Handle(cPtr, cMemoryOwn ? Delete : (global::System.Action<global::System.IntPtr>)null)) {}
  internal $csclassname(Handle handle) { swigCPtr = handle; }
  public void Dispose() { swigCPtr.Dispose(); }

  [global::System.Runtime.InteropServices.DllImport("bitnet_csharp", EntryPoint = "CSharp_BitnetfNative_delete_$csclassname___")]
  private static extern void Delete(global::System.IntPtr self);

  internal static Handle getCPtr($csclassname obj) { return obj == null ? Handle.None : obj.swigCPtr; }
%}
%typemap(csbody_derived) SWIGTYPE %{
  internal $csclassname(global::System.IntPtr cPtr, bool cMemoryOwn) : this(
      new Handle(cPtr, cMemoryOwn ? Delete : (global::System.Action<global::System.IntPtr>)null)) {}
  internal $csclassname(Handle handle) : base(handle) {}

  [global::System.Runtime.InteropServices.DllImport("bitnet_csharp", EntryPoint = "CSharp_BitnetfNative_delete_$csclassname___")]
  private static extern void Delete(global::System.IntPtr self);

  internal static Handle getCPtr($csclassname obj) { return obj == null ? Handle.None : obj.swigCPtr; }
%}
%typemap(csdispose) SWIGTYPE ""
%typemap(csdispose_derived) SWIGTYPE ""
%typemap(csdisposing, methodname="", methodmodifiers="", parameters="") SWIGTYPE ""
%typemap(csdisposing_derived, methodname="", methodmodifiers="", parameters="") SWIGTYPE ""
%typemap(imtype, out="global::System.IntPtr") SWIGTYPE, SWIGTYPE *, SWIGTYPE & "Handle"

// ------------------------------------------------------------------ arguments
%define BITNET_ARRAY(TYPE, ITEM, ARRAY)
%typemap(ctype) TYPE "BitnetSlice"
%typemap(imtype) TYPE "Slice"
%typemap(cstype) TYPE "ARRAY"
%typemap(in) TYPE "$1 = {static_cast<const ITEM*>($input.data), $input.size};"
%typemap(csin, pre="    using (var pin$csinput = new Pin($csinput)) {", terminator="    }") TYPE "pin$csinput.Slice"
%enddef
BITNET_ARRAY(std::string_view, char, byte[])
BITNET_ARRAY(bitnet::binding::Tokens, bitnet_token, int[])
BITNET_ARRAY(bitnet::binding::Floats, float, float[])
%typemap(directorin) std::string_view "$input = BitnetSlice{$1.data(), $1.size()};"
%typemap(csdirectorin) std::string_view "$iminput.ToBytes()"

// -------------------------------------------------------------------- results
%define BITNET_RESULT(TYPE, ARRAY, GIVE, TAKE)
%typemap(ctype) TYPE "int"
%typemap(imtype) TYPE "int"
%typemap(cstype) TYPE "ARRAY"
%typemap(out, null="0") TYPE "$result = GIVE;"
%typemap(csout, excode=SWIGEXCODE) TYPE {
    $imcall;$excode
    return Crossing.TAKE;
  }
%typemap(csvarout, excode=SWIGEXCODE2) TYPE %{
    get {
      $imcall;$excode
      return Crossing.TAKE;
    } %}
%enddef
BITNET_RESULT(std::string, byte[], give<std::string>($1), TakeBytes())
BITNET_RESULT(const std::string&, byte[], give<std::string>(*$1), TakeBytes())
BITNET_RESULT(const char*, byte[], give<std::string_view>($1), TakeBytes())
BITNET_RESULT(std::vector<std::string>, byte[][], give_each($1), TakeAll())
BITNET_RESULT(std::vector<bitnet_token>, int[], give<std::vector<bitnet_token>>($1), Take<int>(sizeof(int)))
BITNET_RESULT(std::vector<float>, float[], give<std::vector<float>>($1), Take<float>(sizeof(float)))

// An address: SWIG takes it for 32 bits.
%apply unsigned long long { uintptr_t };
