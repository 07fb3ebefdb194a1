// SPDX-License-Identifier: MIT

// Package bitnet runs 1.58-bit (ternary) language models on a CPU, inside your program.
//
// It stands on the C library libbitnet, which pkg-config must find when this package is built.
//
//	model, err := bitnet.Open("model.bitnet", nil)
//	if err != nil {
//		return err
//	}
//	defer model.Close()
//	session, err := model.NewSession(nil)
//	if err != nil {
//		return err
//	}
//	defer session.Close()
//	text := session.Generate(ctx, "Once upon a time", &bitnet.GenerateOptions{MaxTokens: 100})
//	for text.Next() {
//		fmt.Print(text.Text())
//	}
//	return text.Err()
//
// Any number of goroutines may use any object; calls to one session queue up, sessions of one model run at the same time.
// What has been closed answers with ErrClosed. Closing twice, or not at all, is no mistake: finalizers close as well.
// Nil options mean the defaults, and so do zero members.
package bitnet

// #cgo pkg-config: bitnet
// #include "calls.h"
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"runtime/cgo"
	"strings"
	"unsafe"
)

// A Token is a number from 0 to the vocabulary's size - 1.
type Token = int32

// NoToken stands where a model has no such token.
const NoToken Token = -1

// A Status is the kind of an error. errors.Is finds it in every error that the library reports.
type Status int32

const (
	ErrArgument    Status = C.BITNET_ERROR_ARGUMENT    // an argument or option is wrong
	ErrMemory      Status = C.BITNET_ERROR_MEMORY      // out of memory
	ErrNotFound    Status = C.BITNET_ERROR_NOT_FOUND   // the file to read does not exist: fs.ErrNotExist
	ErrIO          Status = C.BITNET_ERROR_IO          // the system refused to open, read or write a file
	ErrFormat      Status = C.BITNET_ERROR_FORMAT      // a file is damaged, truncated or not what it claims to be
	ErrUnsupported Status = C.BITNET_ERROR_UNSUPPORTED // well-formed, but this version cannot do it
	ErrContext     Status = C.BITNET_ERROR_CONTEXT     // the tokens do not fit the session's context
	ErrMismatch    Status = C.BITNET_ERROR_MISMATCH    // a saved state belongs to another model
	ErrInternal    Status = C.BITNET_ERROR_INTERNAL    // a mistake in the library: please report it
	errCancelled   Status = C.BITNET_ERROR_CANCELLED
)

// Error says what the status means, in a few words.
func (s Status) Error() string { return C.GoString(C.bitnet_status_message(C.bitnet_status(s))) }

// Is tells errors.Is that ErrNotFound is fs.ErrNotExist.
func (s Status) Is(target error) bool { return s == ErrNotFound && target == fs.ErrNotExist }

// ErrClosed is what errors.Is finds in the error of using what has been closed, which names it.
var ErrClosed = errors.New("bitnet: used after Close")

// closed is the error of using a closed object of this name.
type closed string

func (c closed) Error() string        { return "bitnet: the " + string(c) + " is closed" }
func (c closed) Is(target error) bool { return target == ErrClosed }

const (
	modelClosed   = closed("model")
	sessionClosed = closed("session")
	samplerClosed = closed("sampler")
	decoderClosed = closed("decoder")
)

// ErrOver is the error of a generation whose session has been used for something else.
var ErrOver = errors.New("bitnet: the generation is over: its session has been used for something else")

// An Error is what the library says of a failure: its kind, and what was wrong, where, and what to do.
type Error struct {
	Status  Status
	Message string
}

func (e *Error) Error() string { return "bitnet: " + e.Message }

// Unwrap gives the Status.
func (e *Error) Unwrap() error { return e.Status }

// call runs a C function and makes an error of its status. The message belongs to the thread.
func call(function func() C.bitnet_status) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if status := function(); status < 0 {
		return &Error{Status(status), C.GoString(C.bitnet_last_error())}
	}
	return nil
}

// scratch collects C strings for the time of one call.
type scratch []unsafe.Pointer

func (s *scratch) free() {
	for _, pointer := range *s {
		C.free(pointer)
	}
}

func (s *scratch) array(count int, size uintptr) unsafe.Pointer {
	pointer := C.calloc(C.size_t(count)+1, C.size_t(size))
	*s = append(*s, pointer)
	return pointer
}

// text is a C string; a zero byte inside would cut it short unseen.
func (s *scratch) text(text string, what string) (*C.char, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, &Error{ErrArgument, what + " contains a zero byte"}
	}
	pointer := C.CString(text)
	*s = append(*s, unsafe.Pointer(pointer))
	return pointer, nil
}

// optional is the same, but NULL for "".
func (s *scratch) optional(text string, what string) (*C.char, error) {
	if text == "" {
		return nil, nil
	}
	return s.text(text, what)
}

func tokenPointer(tokens []Token) (*C.bitnet_token, C.size_t) {
	if len(tokens) == 0 {
		return nil, 0
	}
	return (*C.bitnet_token)(unsafe.Pointer(&tokens[0])), C.size_t(len(tokens))
}

func bytePointer(data []byte) (*C.char, C.size_t) {
	if len(data) == 0 {
		return nil, 0
	}
	return (*C.char)(unsafe.Pointer(&data[0])), C.size_t(len(data))
}

// fillBytes calls fill with buffers until what it writes fits.
func fillBytes(guess int, fill func(data *C.char, capacity C.size_t, size *C.size_t) C.bitnet_status) ([]byte, error) {
	buffer := make([]byte, guess)
	var size C.size_t
	for {
		tooSmall := false
		err := call(func() C.bitnet_status {
			data, capacity := bytePointer(buffer)
			status := fill(data, capacity, &size)
			tooSmall = status == C.BITNET_ERROR_BUFFER
			return status
		})
		if !tooSmall {
			if err != nil {
				return nil, err
			}
			return buffer[:size], nil
		}
		buffer = make([]byte, size)
	}
}

// A Progress is told of long work in bytes, done <= total. An error cancels the work and comes out of the call.
type Progress func(done, total uint64) error

// A LogLevel says how grave a line of the log is.
type LogLevel int

const (
	LogWarning LogLevel = C.BITNET_LOG_WARNING
	LogInfo    LogLevel = C.BITNET_LOG_INFO
)

// String is "warning" or "info".
func (l LogLevel) String() string {
	switch l {
	case LogWarning:
		return "warning"
	case LogInfo:
		return "info"
	}
	return fmt.Sprintf("LogLevel(%d)", int(l))
}

// listener is what C's callbacks reach through a cgo.Handle. What they panic or return as an error is kept until the
// call is back: neither must pass through C.
type listener struct {
	progress Progress
	log      func(LogLevel, string)
	err      error
	panicked any
}

func (l *listener) guard(function func()) {
	defer func() {
		if value := recover(); value != nil {
			l.panicked = value
		}
	}()
	function()
}

// call runs a C function that calls the listener back.
func (l *listener) call(function func() C.bitnet_status) error {
	err := call(function)
	if value := l.panicked; value != nil {
		l.panicked = nil
		panic(value)
	}
	if l.err != nil {
		err, l.err = l.err, nil
	}
	return err
}

//export bitnetGoProgress
func bitnetGoProgress(handle C.uintptr_t, done, total C.uint64_t) C.int {
	l := cgo.Handle(handle).Value().(*listener)
	if l.progress != nil && l.err == nil {
		l.guard(func() { l.err = l.progress(uint64(done), uint64(total)) })
	}
	if l.err != nil || l.panicked != nil {
		return 1
	}
	return 0
}

//export bitnetGoLog
func bitnetGoLog(handle C.uintptr_t, level C.bitnet_log_level, message *C.char) {
	l := cgo.Handle(handle).Value().(*listener)
	if l.log != nil {
		l.guard(func() { l.log(LogLevel(level), C.GoString(message)) })
	}
}

// Version is that of the library, "0.1.0".
func Version() string { return C.GoString(C.bitnet_version_string()) }

// CPUFeatures names the CPU's vector features that matter here.
func CPUFeatures() []string { return strings.Fields(C.GoString(C.bitnet_cpu_features())) }

// ISANames names the kernel sets that this CPU can run, fastest first.
func ISANames() []string {
	return namesOf(func(index C.size_t) *C.char { return C.bitnet_isa_name(index) })
}

// ChatTemplateNames names the known chat templates, for the options of that name.
func ChatTemplateNames() []string {
	return namesOf(func(index C.size_t) *C.char { return C.bitnet_chat_template_name(index) })
}

func namesOf(at func(index C.size_t) *C.char) []string {
	var names []string
	for {
		name := at(C.size_t(len(names)))
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}

// A Packing is how ternary weights are packed.
type Packing int32

const (
	PackingDefault Packing = C.BITNET_PACKING_DEFAULT
	PackingI2      Packing = C.BITNET_PACKING_I2 // 2 bits a weight
	PackingT5      Packing = C.BITNET_PACKING_T5 // 1.6 bits a weight
)

// A Head is how the output head is kept.
type Head int32

const (
	HeadDefault  Head = C.BITNET_HEAD_DEFAULT
	HeadF16      Head = C.BITNET_HEAD_F16
	HeadInt8     Head = C.BITNET_HEAD_INT8
	HeadQ6       Head = C.BITNET_HEAD_Q6       // 6 bits a weight with a scale for every 16
	HeadScreened Head = C.BITNET_HEAD_SCREENED // f16, and a screen that finds the likely tokens: the same results, faster
)

// An I2SLayout is the order of the weights in the I2_S tensors of a GGUF file, which the file does not say.
type I2SLayout int32

const (
	I2SAuto I2SLayout = C.BITNET_I2S_AUTO // found out from the weights
	I2SX86  I2SLayout = C.BITNET_I2S_X86  // blocks of 128 weights of a row
	I2SArm  I2SLayout = C.BITNET_I2S_ARM  // blocks of 64 weights of a row
	I2SRows I2SLayout = C.BITNET_I2S_ROWS // one column of four rows: x86 built without ACT_PARALLEL
)

// An Activation is what the feed-forward network does with its gate.
type Activation int32

const (
	ActivationDefault Activation = C.BITNET_ACTIVATION_DEFAULT // as the file says or its architecture means
	ActivationReLU2   Activation = C.BITNET_ACTIVATION_RELU2   // squared ReLU: BitNet b1.58 2B-4T
	ActivationSiLU    Activation = C.BITNET_ACTIVATION_SILU    // 1bitLLM's bitnet_b1_58-large and -3B
)

// ConvertOptions are those of Convert.
type ConvertOptions struct {
	Packing      Packing
	Head         Head
	I2S          I2SLayout
	Quantize     bool       // weights that are not ternary yet become so
	ZstdLevel    int        // 1 to 19 compresses the tensors for download
	ChatTemplate string     // to be stored in place of the input's; as in OpenOptions
	Activation   Activation // to be stored; as in OpenOptions
	Progress     Progress
	Log          func(level LogLevel, message string) // during the call
}

// Convert writes a GGUF or .bitnet file as .bitnet.
func Convert(input, output string, options *ConvertOptions) error {
	if options == nil {
		options = &ConvertOptions{}
	}
	var memory scratch
	defer memory.free()
	from, err := memory.text(input, "the input path")
	if err != nil {
		return err
	}
	to, err := memory.text(output, "the output path")
	if err != nil {
		return err
	}
	level, err := toCount("ZstdLevel", options.ZstdLevel, 19)
	if err != nil {
		return err
	}
	template, err := memory.optional(options.ChatTemplate, "ChatTemplate")
	if err != nil {
		return err
	}
	l := &listener{progress: options.Progress, log: options.Log}
	handle := cgo.NewHandle(l)
	defer handle.Delete()
	c := C.bitnet_convert_options{
		size: C.sizeof_bitnet_convert_options, packing: C.bitnet_packing(options.Packing),
		head: C.bitnet_head(options.Head), i2s: C.bitnet_i2s_layout(options.I2S), zstd_level: C.int(level),
		chat_template: template, activation: C.bitnet_activation(options.Activation),
	}
	if options.Quantize {
		c.quantize = 1
	}
	return l.call(func() C.bitnet_status { return C.bitnet_go_convert(from, to, &c, C.uintptr_t(handle)) })
}

// Verify reads a whole .bitnet file and checks every checksum, packed weight and scale.
func Verify(path string, progress Progress) error {
	var memory scratch
	defer memory.free()
	name, err := memory.text(path, "the path")
	if err != nil {
		return err
	}
	l := &listener{progress: progress}
	handle := cgo.NewHandle(l)
	defer handle.Delete()
	return l.call(func() C.bitnet_status { return C.bitnet_go_verify(name, C.uintptr_t(handle)) })
}

// toCount is a number given as int in C's type.
func toCount(name string, value int, most uint32) (C.uint32_t, error) {
	if value < 0 || uint64(value) > uint64(most) {
		return 0, &Error{ErrArgument, fmt.Sprintf("%s is %d; it must be from 0 to %d", name, value, most)}
	}
	return C.uint32_t(value), nil
}
