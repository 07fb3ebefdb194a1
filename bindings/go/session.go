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
	"time"
	"unsafe"
)

// A KV is how a session keeps the keys and values of its tokens. Each rounds otherwise, so that logits differ slightly.
type KV int32

const (
	KVDefault KV = C.BITNET_KV_DEFAULT // KVInt16
	KVF16     KV = C.BITNET_KV_F16     // floats of 16 bits: slower in long contexts
	KVInt8    KV = C.BITNET_KV_INT8    // integers of 8 bits: half the memory, quicker in long contexts, rounded more coarsely
	KVInt16   KV = C.BITNET_KV_INT16   // integers of 16 bits: about the memory of KVF16, with half its rounding error
)

// SessionOptions are those of NewSession.
type SessionOptions struct {
	Context           int // tokens it can hold; 0: what the model was trained for, at most 8192
	Threads           int // that compute; 0: one per physical core
	Batch             int // tokens of a prompt computed together; 0: 256
	KV                KV
	GenerationThreads int // of Threads, those that compute a token by itself; 0: as many as turn out fastest
}

func (o *SessionOptions) c() (c C.bitnet_session_options, err error) {
	c.size = C.sizeof_bitnet_session_options
	if o == nil {
		return c, nil
	}
	if c.context, err = toCount("Context", o.Context, math.MaxUint32); err != nil {
		return c, err
	}
	if c.threads, err = toCount("Threads", o.Threads, math.MaxUint32); err != nil {
		return c, err
	}
	if c.batch, err = toCount("Batch", o.Batch, math.MaxUint32); err != nil {
		return c, err
	}
	c.kv = C.bitnet_kv(o.KV)
	c.generation_threads, err = toCount("GenerationThreads", o.GenerationThreads, math.MaxUint32)
	return c, err
}

// A Session is one sequence of tokens with its KV cache, its threads and its last logits.
type Session struct {
	mutex      sync.Mutex // held during every call
	c          *C.bitnet_session
	generation *C.bitnet_generation // the one that may go on
	generating *Generation          // whose it is
	watch      *watch               // of its context
	model      *Model
	vocabulary int
	number     uint64 // the order in which EvalBatch locks

	closing atomic.Bool
	running atomic.Pointer[int32] // what cancels the call under way
}

var sessions atomic.Uint64 // made so far

// NewSession makes an empty session.
func (m *Model) NewSession(options *SessionOptions) (*Session, error) {
	o, err := options.c()
	if err != nil {
		return nil, err
	}
	info, err := m.Info()
	if err != nil {
		return nil, err
	}
	var c *C.bitnet_session
	err = m.use(func(model *C.bitnet_model) error {
		if err := call(func() C.bitnet_status { return C.bitnet_go_session_create(model, &o, &c) }); err != nil {
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

// SessionMemory tells the bytes that a session takes besides the model.
func (m *Model) SessionMemory(options *SessionOptions) (uint64, error) {
	o, err := options.c()
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
	if cancel := s.running.Load(); cancel != nil {
		atomic.StoreInt32(cancel, 1)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.c != nil {
		s.endGeneration()
		C.bitnet_session_free(s.c)
		s.c = nil
		s.model.base.release()
	}
	return nil
}

func (s *Session) endGeneration() {
	if s.generation == nil {
		return
	}
	C.bitnet_generation_free(s.generation)
	s.watch.end()
	s.generation, s.generating, s.watch = nil, nil, nil
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

// A watch is on a context whose end cancels the calls under it. It refers to nothing else: what is forgotten is
// finalized in spite of it.
type watch struct {
	ctx    context.Context
	cancel *int32 // what C looks at
	over   chan struct{}
}

func newWatch(ctx context.Context) *watch {
	w := &watch{ctx, new(int32), make(chan struct{})}
	if ctx.Done() != nil {
		go func() {
			select {
			case <-ctx.Done():
				atomic.StoreInt32(w.cancel, 1)
			case <-w.over:
			}
		}()
	}
	return w
}

func (w *watch) end() { close(w.over) }

// run is for one call that evaluates, with these sessions locked: it is cancelled by the context and by Close.
func run(ctx context.Context, locked []*Session, function func(cancel *C.int32_t) C.bitnet_status) error {
	w := newWatch(ctx)
	defer w.end()
	return w.run(locked, function)
}

func (w *watch) run(locked []*Session, function func(cancel *C.int32_t) C.bitnet_status) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	closing := false
	for _, s := range locked {
		s.running.Store(w.cancel)
		defer s.running.Store(nil)
		// Close may have been called before it could see what to cancel.
		closing = closing || s.closing.Load()
	}
	if closing {
		return sessionClosed
	}
	err := call(func() C.bitnet_status { return function((*C.int32_t)(unsafe.Pointer(w.cancel))) })
	if errors.Is(err, errCancelled) {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		return sessionClosed
	}
	return err
}

// LogitsOf says which tokens' logits an evaluation computes.
type LogitsOf int32

const (
	LogitsLast LogitsOf = C.BITNET_LOGITS_LAST // of the last token given
	LogitsAll  LogitsOf = C.BITNET_LOGITS_ALL  // of every token given
	LogitsNone LogitsOf = C.BITNET_LOGITS_NONE
)

// Eval appends tokens and computes their keys, values and logits. On an error the session is as before. When the context
// ends, it returns as soon as a layer is done, with the context's error.
func (s *Session) Eval(ctx context.Context, tokens []Token, logits LogitsOf) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mutex.Unlock()
	s.endGeneration()
	return run(ctx, []*Session{s}, func(cancel *C.int32_t) C.bitnet_status {
		data, count := tokenPointer(tokens)
		return C.bitnet_go_eval(s.c, data, count, C.bitnet_logits_of(logits), cancel)
	})
}

// A BatchItem is what EvalBatch does for one session.
type BatchItem struct {
	Session *Session
	Tokens  []Token
	Logits  LogitsOf
}

// EvalBatch is Eval for several sessions of one model in one pass over the weights. All or nothing.
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
	return run(ctx, order, func(cancel *C.int32_t) C.bitnet_status {
		return C.bitnet_go_eval_batch(&c[0], C.size_t(len(items)), cancel)
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

// Fork makes a second session with the same tokens, KV cache and options. It shares the threads of the first.
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

// Perf counts what a session has done.
type Perf struct {
	PromptTokens    uint64
	PromptTime      time.Duration
	GeneratedTokens uint64
	GeneratedTime   time.Duration
	SampledTokens   uint64
	SampleTime      time.Duration
}

// Perf gives the counters since the session was made or they were last reset.
func (s *Session) Perf() (Perf, error) {
	c := C.bitnet_perf{size: C.sizeof_bitnet_perf}
	err := s.use(func() C.bitnet_status { return C.bitnet_session_get_perf(s.c, &c) })
	return Perf{
		PromptTokens: uint64(c.prompt_tokens), PromptTime: time.Duration(c.prompt_ns),
		GeneratedTokens: uint64(c.generated_tokens), GeneratedTime: time.Duration(c.generated_ns),
		SampledTokens: uint64(c.sampled_tokens), SampleTime: time.Duration(c.sample_ns),
	}, err
}

// ResetPerf sets the counters to zero.
func (s *Session) ResetPerf() {
	if s.lock() == nil {
		defer s.mutex.Unlock()
		C.bitnet_session_reset_perf(s.c)
	}
}
