// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
// #include <stdlib.h>
import "C"

import (
	"runtime"
	"sync"
	"unsafe"
)

// A Sampler turns logits into a token; it holds the random state.
type Sampler struct {
	mutex sync.Mutex
	c     *C.bitnet_sampler
}

// NewSampler makes a sampler.
func NewSampler(options *SamplerOptions) (*Sampler, error) {
	var memory scratch
	defer memory.free()
	c, err := options.c(&memory)
	if err != nil {
		return nil, err
	}
	var sampler *C.bitnet_sampler
	if err := call(func() C.bitnet_status { return C.bitnet_sampler_create(&c, &sampler) }); err != nil {
		return nil, err
	}
	s := &Sampler{c: sampler}
	runtime.SetFinalizer(s, (*Sampler).Close)
	return s, nil
}

// Close frees the sampler. It always returns nil.
func (s *Sampler) Close() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	C.bitnet_sampler_free(s.c)
	s.c = nil
	return nil
}

func (s *Sampler) use(function func() C.bitnet_status) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.c == nil {
		return samplerClosed
	}
	return call(function)
}

// Reseed starts the random numbers over.
func (s *Sampler) Reseed(seed uint64) error {
	return s.use(func() C.bitnet_status {
		C.bitnet_sampler_reseed(s.c, C.uint64_t(seed))
		return C.BITNET_OK
	})
}

// Sample draws a token from the session's last logits, whose tokens are the recent ones. It is not evaluated.
func (s *Sampler) Sample(session *Session) (Token, error) {
	if err := session.lock(); err != nil {
		return NoToken, err
	}
	defer session.mutex.Unlock()
	token := C.bitnet_token(NoToken)
	err := s.use(func() C.bitnet_status { return C.bitnet_sample(s.c, session.c, &token) })
	return Token(token), err
}

// SampleLogits is Sample for logits of your own; of recent the last is the newest.
func (s *Sampler) SampleLogits(logits []float32, recent []Token) (Token, error) {
	token := C.bitnet_token(NoToken)
	err := s.use(func() C.bitnet_status {
		var values *C.float
		if len(logits) > 0 {
			values = (*C.float)(unsafe.Pointer(&logits[0]))
		}
		data, count := tokenPointer(recent)
		return C.bitnet_sample_logits(s.c, values, C.size_t(len(logits)), data, count, &token)
	})
	return Token(token), err
}
