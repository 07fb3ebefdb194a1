// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A Model is weights and vocabulary, shared by any number of sessions and goroutines.
type Model struct {
	mutex sync.RWMutex // held for writing by Close
	c     *C.bitnet_model
	base  *base
}

// base is what a model and all that is made from it need until the last of them is freed.
type base struct {
	users    atomic.Int32
	memory   unsafe.Pointer
	listener *listener
	handle   cgo.Handle
}

func (b *base) acquire() { b.users.Add(1) }

func (b *base) release() {
	if b.users.Add(-1) == 0 {
		C.free(b.memory)
		b.handle.Delete()
	}
}

// Open opens a .bitnet file, which is mapped and used as it lies, or a GGUF file, which is repacked in memory. The file
// must not change while the model lives.
func Open(path string, options *OpenOptions) (*Model, error) {
	var memory scratch
	defer memory.free()
	name, err := memory.text(path, "the path")
	if err != nil {
		return nil, err
	}
	return open(options, nil, func(c *C.bitnet_open_options, l C.uintptr_t, model **C.bitnet_model) C.bitnet_status {
		return C.bitnet_go_open(name, c, l, model)
	})
}

// OpenMemory is Open for a file's bytes, which are copied.
func OpenMemory(data []byte, options *OpenOptions) (*Model, error) {
	const alignment = 64
	memory := C.aligned_alloc(alignment, C.size_t(len(data)/alignment+1)*alignment)
	if memory == nil {
		return nil, &Error{ErrMemory, fmt.Sprintf("out of memory: %d bytes for a copy of the file", len(data))}
	}
	copy(unsafe.Slice((*byte)(memory), len(data)), data)
	return open(options, memory, func(c *C.bitnet_open_options, l C.uintptr_t, model **C.bitnet_model) C.bitnet_status {
		return C.bitnet_go_open_memory(memory, C.size_t(len(data)), c, l, model)
	})
}

func open(options *OpenOptions, data unsafe.Pointer,
	open func(*C.bitnet_open_options, C.uintptr_t, **C.bitnet_model) C.bitnet_status) (*Model, error) {
	b := &base{memory: data, listener: options.listener()}
	b.handle = cgo.NewHandle(b.listener)
	b.acquire()
	opened := false
	defer func() {
		if !opened {
			b.release()
		}
	}()

	var memory scratch
	defer memory.free()
	c, err := options.c(&memory)
	if err != nil {
		return nil, err
	}
	var model *C.bitnet_model // in a variable of its own: C may see no Go memory with Go pointers
	defer func() {
		// A callback has failed after all: nobody gets the model.
		if !opened {
			C.bitnet_close(model)
		}
	}()
	if err := b.listener.call(func() C.bitnet_status { return open(&c, C.uintptr_t(b.handle), &model) }); err != nil {
		return nil, err
	}
	opened = true
	m := &Model{c: model, base: b}
	runtime.SetFinalizer(m, (*Model).Close)
	return m, nil
}

// Close lets go of the model. Sessions still using it keep what they need. It always returns nil.
func (m *Model) Close() error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.c != nil {
		C.bitnet_close(m.c)
		m.c = nil
		m.base.release()
	}
	return nil
}

// use runs a function while the model stays open.
func (m *Model) use(function func(*C.bitnet_model) error) error {
	m.mutex.RLock()
	defer m.mutex.RUnlock()
	if m.c == nil {
		return modelClosed
	}
	return function(m.c)
}

// Info tells what is known of the model.
func (m *Model) Info() (info Info, err error) {
	err = m.use(func(model *C.bitnet_model) error {
		c := C.bitnet_model_info{size: C.sizeof_bitnet_model_info}
		if err := call(func() C.bitnet_status { return C.bitnet_model_get_info(model, &c) }); err != nil {
			return err
		}
		info = newInfo(&c)
		return nil
	})
	return info, err
}

// String names the model, as "Model[name, architecture, 123 parameters]".
func (m *Model) String() string {
	info, err := m.Info()
	if err != nil {
		return "Model[closed]"
	}
	return fmt.Sprintf("Model[%s, %s, %d parameters]", info.Name, info.Architecture, info.Parameters)
}

// Metadata gives the free-form entries of the file.
func (m *Model) Metadata() (map[string]string, error) {
	entries := map[string]string{}
	err := m.use(func(model *C.bitnet_model) error {
		var key, value *C.char
		for index := C.size_t(0); ; index++ {
			end := false
			err := call(func() C.bitnet_status {
				status := C.bitnet_model_metadata(model, index, &key, &value)
				end = status == C.BITNET_END
				return status
			})
			if err != nil || end {
				return err
			}
			entries[C.GoString(key)] = C.GoString(value)
		}
	})
	return entries, err
}

// Tokenize gives the tokens of a text, which may be any bytes.
func (m *Model) Tokenize(text string, flags TextFlag) ([]Token, error) {
	bytes := []byte(text)
	return m.fillTokens(len(text)/2+16, func(model *C.bitnet_model, out *C.bitnet_token, capacity C.size_t,
		count *C.size_t) C.bitnet_status {
		data, length := bytePointer(bytes)
		return C.bitnet_tokenize(model, data, length, C.uint32_t(flags), out, capacity, count)
	})
}

// fillTokens calls fill with arrays until what it writes fits.
func (m *Model) fillTokens(guess int, fill func(model *C.bitnet_model, out *C.bitnet_token, capacity C.size_t,
	count *C.size_t) C.bitnet_status) ([]Token, error) {
	tokens := make([]Token, guess)
	err := m.use(func(model *C.bitnet_model) error {
		var count C.size_t
		for {
			tooSmall := false
			err := call(func() C.bitnet_status {
				out, capacity := tokenPointer(tokens)
				status := fill(model, out, capacity, &count)
				tooSmall = status == C.BITNET_ERROR_BUFFER
				return status
			})
			if err == nil {
				tokens = tokens[:count]
			}
			if !tooSmall {
				return err
			}
			tokens = make([]Token, count)
		}
	})
	if err != nil {
		return nil, err
	}
	return tokens, nil
}

// Detokenize gives the text of tokens, exactly their bytes: cut anywhere, they may not be valid UTF-8. A Decoder does
// streams.
func (m *Model) Detokenize(tokens []Token, flags TextFlag) (string, error) {
	var text []byte
	err := m.use(func(model *C.bitnet_model) (err error) {
		text, err = fillBytes(len(tokens)*8+16, func(out *C.char, capacity C.size_t, length *C.size_t) C.bitnet_status {
			data, count := tokenPointer(tokens)
			return C.bitnet_detokenize(model, data, count, C.uint32_t(flags), out, capacity, length)
		})
		return err
	})
	return string(text), err
}

// IsControl tells whether no plain text is written by the token; false for a closed model.
func (m *Model) IsControl(token Token) (is bool) {
	_ = m.use(func(model *C.bitnet_model) error {
		is = C.bitnet_token_is_control(model, C.bitnet_token(token)) != 0
		return nil
	})
	return is
}

// IsEnd tells whether the token ends a generation; false for a closed model.
func (m *Model) IsEnd(token Token) (is bool) {
	_ = m.use(func(model *C.bitnet_model) error {
		is = C.bitnet_token_is_end(model, C.bitnet_token(token)) != 0
		return nil
	})
	return is
}

// A Message is one turn of a conversation.
type Message struct {
	Role    string // "system", "user", "assistant", as the model's template knows them
	Content string // any text; control tokens that it spells out are text, too, unless it is trusted
}

// conversation gives C's array of the messages.
func (s *scratch) conversation(messages []Message) (*C.bitnet_message, error) {
	first := (*C.bitnet_message)(s.array(len(messages), unsafe.Sizeof(C.bitnet_message{})))
	c := unsafe.Slice(first, len(messages)+1)
	for i, message := range messages {
		var err error
		if c[i].role, err = s.text(message.Role, fmt.Sprintf("the role of message %d", i)); err != nil {
			return nil, err
		}
		content := C.CString(message.Content)
		*s = append(*s, unsafe.Pointer(content))
		c[i].size, c[i].content, c[i].length = C.sizeof_bitnet_message, content, C.size_t(len(message.Content))
	}
	return first, nil
}

// ChatTokenize gives the tokens of a conversation as the model's chat template writes it, for Session.GenerateTokens with
// Whole.
func (m *Model) ChatTokenize(messages []Message, flags ChatFlag) ([]Token, error) {
	var memory scratch
	defer memory.free()
	c, err := memory.conversation(messages)
	if err != nil {
		return nil, err
	}
	return m.fillTokens(256, func(model *C.bitnet_model, out *C.bitnet_token, capacity C.size_t,
		count *C.size_t) C.bitnet_status {
		return C.bitnet_chat_tokenize(model, c, C.size_t(len(messages)), C.uint32_t(flags), out, capacity, count)
	})
}

// ChatPrompt is a conversation as the model's chat template writes it, with reply up to where the assistant's answer
// begins: to look at or to store. Text does not tell the template's control tokens from contents that spell one: to
// compute with it, use ChatTokenize.
func (m *Model) ChatPrompt(messages []Message, reply bool) (string, error) {
	var memory scratch
	defer memory.free()
	c, err := memory.conversation(messages)
	if err != nil {
		return "", err
	}
	var flags ChatFlag
	if reply {
		flags = ChatReply
	}
	var text []byte
	err = m.use(func(model *C.bitnet_model) (err error) {
		text, err = fillBytes(1024, func(out *C.char, capacity C.size_t, length *C.size_t) C.bitnet_status {
			return C.bitnet_chat_format(model, c, C.size_t(len(messages)), C.uint32_t(flags), out, capacity, length)
		})
		return err
	})
	return string(text), err
}

// A Decoder turns tokens into text as they come, never splitting a character.
type Decoder struct {
	mutex sync.Mutex
	c     *C.bitnet_decoder
	base  *base
}

// NewDecoder makes a decoder; with Special, control tokens are written out.
func (m *Model) NewDecoder(flags TextFlag) (*Decoder, error) {
	var c *C.bitnet_decoder
	err := m.use(func(model *C.bitnet_model) error {
		if err := call(func() C.bitnet_status {
			return C.bitnet_decoder_create(model, C.uint32_t(flags), &c)
		}); err != nil {
			return err
		}
		m.base.acquire()
		return nil
	})
	if err != nil {
		return nil, err
	}
	d := &Decoder{c: c, base: m.base}
	runtime.SetFinalizer(d, (*Decoder).Close)
	return d, nil
}

func (d *Decoder) take(next func(text **C.char, length *C.size_t) C.bitnet_status) (string, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.c == nil {
		return "", decoderClosed
	}
	var text *C.char
	var length C.size_t
	if err := call(func() C.bitnet_status { return next(&text, &length) }); err != nil {
		return "", err
	}
	return C.GoStringN(text, C.int(length)), nil
}

// Push takes a token and gives the text that it completes, which may be empty.
func (d *Decoder) Push(token Token) (string, error) {
	return d.take(func(text **C.char, length *C.size_t) C.bitnet_status {
		return C.bitnet_decoder_push(d.c, C.bitnet_token(token), text, length)
	})
}

// Finish gives what is left; the decoder then starts over.
func (d *Decoder) Finish() (string, error) {
	return d.take(func(text **C.char, length *C.size_t) C.bitnet_status {
		return C.bitnet_decoder_finish(d.c, text, length)
	})
}

// Close frees the decoder. It always returns nil.
func (d *Decoder) Close() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.c != nil {
		C.bitnet_decoder_free(d.c)
		d.c = nil
		d.base.release()
	}
	return nil
}
