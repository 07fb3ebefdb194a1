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

// errCancelled becomes the context's error before anyone sees it.
const errCancelled Status = C.BITNET_ERROR_CANCELLED

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
	poolClosed    = closed("pool")
	engineClosed  = closed("engine")
	sessionClosed = closed("session")
	chatClosed    = closed("chat")
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

// texts is an array of C strings.
func (s *scratch) texts(texts []string, what string) (**C.char, C.size_t, error) {
	first := (**C.char)(s.array(len(texts), unsafe.Sizeof((*C.char)(nil))))
	for i, text := range texts {
		c, err := s.text(text, fmt.Sprintf("%s[%d]", what, i))
		if err != nil {
			return nil, 0, err
		}
		unsafe.Slice(first, len(texts))[i] = c
	}
	return first, C.size_t(len(texts)), nil
}

// biases is an array of what is added to logits.
func (s *scratch) biases(biases map[Token]float32) (*C.bitnet_logit_bias, C.size_t) {
	first := (*C.bitnet_logit_bias)(s.array(len(biases), unsafe.Sizeof(C.bitnet_logit_bias{})))
	rest := unsafe.Slice(first, len(biases))
	for token, bias := range biases {
		rest[0] = C.bitnet_logit_bias{token: C.bitnet_token(token), bias: C.float(bias)}
		rest = rest[1:]
	}
	return first, C.size_t(len(biases))
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

// Version is that of the library, "0.2.0".
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

// Convert writes a GGUF or .bitnet file as .bitnet.
func Convert(input, output string, options *ConvertOptions) error {
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
	c, err := options.c(&memory)
	if err != nil {
		return err
	}
	l := options.listener()
	handle := cgo.NewHandle(l)
	defer handle.Delete()
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

// VerifyAgainst compares a .bitnet file with what it was converted from. The error names the first difference if it is
// not lossless.
func VerifyAgainst(path, original string, progress Progress) error {
	var memory scratch
	defer memory.free()
	name, err := memory.text(path, "the path")
	if err != nil {
		return err
	}
	origin, err := memory.text(original, "the original's path")
	if err != nil {
		return err
	}
	l := &listener{progress: progress}
	handle := cgo.NewHandle(l)
	defer handle.Delete()
	return l.call(func() C.bitnet_status { return C.bitnet_go_verify_against(name, origin, C.uintptr_t(handle)) })
}

// toCount is a number given as int in C's type.
func toCount(name string, value int, most uint32) (C.uint32_t, error) {
	if value < 0 || uint64(value) > uint64(most) {
		return 0, &Error{ErrArgument, fmt.Sprintf("%s is %d; it must be from 0 to %d", name, value, most)}
	}
	return C.uint32_t(value), nil
}
