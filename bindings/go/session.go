// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
// #include <stdlib.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A Session is one sequence of tokens with its KV cache and its last logits.
type Session struct {
	mutex      sync.Mutex // held during every call
	pointer    sync.Mutex // held besides to write c, and by whoever cancels the call under way
	c          *C.bitnet_session
	generation *C.bitnet_generation // the one that may go on
	generating *Generation          // whose it is
	model      *Model
	vocabulary int
	number     uint64 // the order in which EvalBatch locks
	closing    atomic.Bool
}

var sessions atomic.Uint64 // made so far

// NewSession makes an empty session. The model's own engine computes for it, as for all that are made here.
func (m *Model) NewSession(options *SessionOptions) (*Session, error) {
	return m.newSession(options, nil)
}

func (m *Model) newSession(options *SessionOptions, engine *C.bitnet_engine) (*Session, error) {
	var memory scratch
	defer memory.free()
	o, err := options.c(&memory)
	if err != nil {
		return nil, err
	}
	o.engine = engine
	info, err := m.Info()
	if err != nil {
		return nil, err
	}
	var c *C.bitnet_session
	err = m.use(func(model *C.bitnet_model) error {
		if err := call(func() C.bitnet_status { return C.bitnet_session_create(model, &o, &c) }); err != nil {
			return err
		}
		m.base.acquire()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return newSession(c, m, info.Vocabulary), nil
}

func newSession(c *C.bitnet_session, m *Model, vocabulary int) *Session {
	s := &Session{c: c, model: m, vocabulary: vocabulary, number: sessions.Add(1)}
	runtime.SetFinalizer(s, (*Session).Close)
	return s
}

// Model is what made the session.
func (s *Session) Model() *Model { return s.model }

// SessionMemory tells the bytes that a session takes besides the model and its engine.
func (m *Model) SessionMemory(options *SessionOptions) (uint64, error) {
	var memory scratch
	defer memory.free()
	o, err := options.c(&memory)
	if err != nil {
		return 0, err
	}
	var bytes C.uint64_t
	err = m.use(func(model *C.bitnet_model) error {
		return call(func() C.bitnet_status { return C.bitnet_session_memory(model, &o, &bytes) })
	})
	return uint64(bytes), err
}

// Close cancels what another goroutine is doing with the session, then frees it. It always returns nil.
func (s *Session) Close() error {
	s.closing.Store(true)
	s.pointer.Lock()
	C.bitnet_session_cancel(s.c, 1)
	s.pointer.Unlock()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.c != nil {
		s.endGeneration()
		s.pointer.Lock()
		C.bitnet_session_free(s.c)
		s.c = nil
		s.pointer.Unlock()
		s.model.base.release()
	}
	return nil
}

func (s *Session) endGeneration() {
	if s.generation == nil {
		return
	}
	C.bitnet_generation_free(s.generation)
	s.generation, s.generating = nil, nil
}

// lock begins a call, which must unlock the mutex unless there is an error.
func (s *Session) lock() error {
	s.mutex.Lock()
	if s.c == nil || s.closing.Load() {
		s.mutex.Unlock()
		return sessionClosed
	}
	return nil
}

// use runs a C function that leaves the session as it is.
func (s *Session) use(function func() C.bitnet_status) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mutex.Unlock()
	return call(function)
}

// change runs one that changes it.
func (s *Session) change(function func() C.bitnet_status) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mutex.Unlock()
	s.endGeneration()
	return call(function)
}

// run is for one call that evaluates, with these sessions locked: it is cancelled by the context and by Close.
func run(ctx context.Context, locked []*Session, function func() C.bitnet_status) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	cancel := func(cancel C.int) {
		for _, s := range locked {
			C.bitnet_session_cancel(s.c, cancel)
		}
	}
	stop := onDone(ctx, func() { cancel(1) })
	err := call(function)
	if stop() {
		cancel(0) // it may have come too late, and is not for the next call
	}
	return ended(ctx, err)
}

// onDone calls action when the context ends, until the function that it returns is called, which tells whether it did.
func onDone(ctx context.Context, action func()) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return false }
	}
	over, done := make(chan struct{}), make(chan bool, 1)
	go func() {
		select {
		case <-ctx.Done():
			action()
			done <- true
		case <-over:
			done <- false
		}
	}()
	return func() bool {
		close(over)
		return <-done
	}
}

// ended is the error of a call that the context, or else Close, may have cancelled.
func ended(ctx context.Context, err error) error {
	if !errors.Is(err, errCancelled) {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return sessionClosed
}

// Eval appends tokens and computes their keys, values and logits. On an error the session is as before. When the context
// ends, it returns as soon as a layer is done, with the context's error.
func (s *Session) Eval(ctx context.Context, tokens []Token, logits LogitsOf) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mutex.Unlock()
	s.endGeneration()
	return run(ctx, []*Session{s}, func() C.bitnet_status {
		data, count := tokenPointer(tokens)
		return C.bitnet_eval(s.c, data, count, C.bitnet_logits_of(logits))
	})
}

// A BatchItem is what EvalBatch does for one session.
type BatchItem struct {
	Session *Session
	Tokens  []Token
	Logits  LogitsOf
}

// EvalBatch is Eval for several sessions of one model in one pass over the weights. If one of them cannot be
// evaluated, nothing is.
func EvalBatch(ctx context.Context, items []BatchItem) error {
	order := make([]*Session, len(items))
	for i, item := range items {
		order[i] = item.Session
	}
	sort.Slice(order, func(i, j int) bool { return order[i].number < order[j].number })
	for i, s := range order {
		if i > 0 && order[i-1] == s {
			return &Error{ErrArgument, "a session is twice in the batch"}
		}
		if err := s.lock(); err != nil {
			return err
		}
		defer s.mutex.Unlock()
		s.endGeneration()
	}
	var memory scratch
	defer memory.free()
	c := unsafe.Slice((*C.bitnet_batch_item)(memory.array(len(items), unsafe.Sizeof(C.bitnet_batch_item{}))), len(items)+1)
	for i, item := range items {
		c[i].session = item.Session.c
		c[i].count = C.size_t(len(item.Tokens))
		c[i].logits = C.bitnet_logits_of(item.Logits)
		c[i].tokens = (*C.bitnet_token)(memory.array(len(item.Tokens), unsafe.Sizeof(Token(0))))
		copy(unsafe.Slice((*Token)(unsafe.Pointer(c[i].tokens)), len(item.Tokens)), item.Tokens)
	}
	return run(ctx, order, func() C.bitnet_status {
		return C.bitnet_eval_batch(&c[0], C.size_t(len(items)))
	})
}

// Logits gives a copy of the logits of the last evaluation. Row counts its tokens if it was made with LogitsAll, and is 0
// otherwise.
func (s *Session) Logits(row int) ([]float32, error) {
	index, err := toCount("row", row, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	if err := s.lock(); err != nil {
		return nil, err
	}
	defer s.mutex.Unlock()
	var values *C.float
	if err := call(func() C.bitnet_status { return C.bitnet_session_logits(s.c, C.size_t(index), &values) }); err != nil {
		return nil, err
	}
	return append([]float32(nil), unsafe.Slice((*float32)(unsafe.Pointer(values)), s.vocabulary)...), nil
}

// Position is the number of tokens evaluated so far; 0 for a closed session.
func (s *Session) Position() int {
	if s.lock() != nil {
		return 0
	}
	defer s.mutex.Unlock()
	return int(C.bitnet_session_position(s.c))
}

// Context is the number of tokens that fit; 0 for a closed session.
func (s *Session) Context() int {
	if s.lock() != nil {
		return 0
	}
	defer s.mutex.Unlock()
	return int(C.bitnet_session_context(s.c))
}

// String tells how full the session is, as "Session[12 of 512 tokens]". It does not wait for a call under way.
func (s *Session) String() string {
	if !s.mutex.TryLock() {
		return "Session[at work]"
	}
	defer s.mutex.Unlock()
	if s.c == nil {
		return "Session[closed]"
	}
	return fmt.Sprintf("Session[%d of %d tokens]", C.bitnet_session_position(s.c), C.bitnet_session_context(s.c))
}

// Tokens gives the tokens evaluated so far.
func (s *Session) Tokens() ([]Token, error) {
	if err := s.lock(); err != nil {
		return nil, err
	}
	defer s.mutex.Unlock()
	var tokens *C.bitnet_token
	var count C.size_t
	if err := call(func() C.bitnet_status { return C.bitnet_session_tokens(s.c, &tokens, &count) }); err != nil {
		return nil, err
	}
	return append([]Token(nil), unsafe.Slice((*Token)(unsafe.Pointer(tokens)), int(count))...), nil
}

// Rewind forgets all tokens from position on.
func (s *Session) Rewind(position int) error {
	c, err := toCount("position", position, math.MaxUint32)
	if err != nil {
		return err
	}
	return s.change(func() C.bitnet_status { return C.bitnet_session_rewind(s.c, c) })
}

// Fork makes a second session with the same tokens, KV cache and options. Its engine is that of the first.
func (s *Session) Fork() (*Session, error) {
	var fork *C.bitnet_session
	if err := s.use(func() C.bitnet_status { return C.bitnet_session_fork(s.c, &fork) }); err != nil {
		return nil, err
	}
	s.model.base.acquire()
	return newSession(fork, s.model, s.vocabulary), nil
}

// Save writes tokens and KV cache to a file.
func (s *Session) Save(path string) error {
	var memory scratch
	defer memory.free()
	name, err := memory.text(path, "the path")
	if err != nil {
		return err
	}
	return s.use(func() C.bitnet_status { return C.bitnet_session_save(s.c, name) })
}

// Load reads back what Save wrote, into a session of the same model, replacing what it holds.
func (s *Session) Load(path string) error {
	var memory scratch
	defer memory.free()
	name, err := memory.text(path, "the path")
	if err != nil {
		return err
	}
	return s.change(func() C.bitnet_status { return C.bitnet_session_load(s.c, name) })
}

// MarshalBinary is Save to memory, as encoding.BinaryMarshaler wants it.
func (s *Session) MarshalBinary() ([]byte, error) {
	if err := s.lock(); err != nil {
		return nil, err
	}
	defer s.mutex.Unlock()
	return fillBytes(0, func(data *C.char, capacity C.size_t, length *C.size_t) C.bitnet_status {
		return C.bitnet_session_save_memory(s.c, unsafe.Pointer(data), capacity, length)
	})
}

// UnmarshalBinary is Load from memory.
func (s *Session) UnmarshalBinary(state []byte) error {
	return s.change(func() C.bitnet_status {
		data, length := bytePointer(state)
		return C.bitnet_session_load_memory(s.c, unsafe.Pointer(data), length)
	})
}

// Perf gives the counters since the session was made or they were last reset.
func (s *Session) Perf() (Perf, error) {
	c := C.bitnet_perf{size: C.sizeof_bitnet_perf}
	err := s.use(func() C.bitnet_status { return C.bitnet_session_get_perf(s.c, &c) })
	return newPerf(&c), err
}

// ResetPerf sets the counters to zero.
func (s *Session) ResetPerf() {
	if s.lock() == nil {
		defer s.mutex.Unlock()
		C.bitnet_session_reset_perf(s.c)
	}
}
