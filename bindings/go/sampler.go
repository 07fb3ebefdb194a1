// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
// #include <stdlib.h>
import "C"

import (
	"math"
	"runtime"
	"sync"
	"unsafe"
)

// SamplerOptions say how tokens are drawn. All zero: the most likely token each time.
type SamplerOptions struct {
	Seed              uint64
	Temperature       float32 // divides the logits; 0: always the most likely token
	TopK              int     // keep the k most likely; 0: all
	TopP              float32 // keep the fewest whose probabilities reach p; 0 or 1: all
	MinP              float32 // keep those at least MinP times as likely as the most likely one
	RepetitionPenalty float32 // divides positive, multiplies negative logits of recent tokens; 0 or 1: none
	FrequencyPenalty  float32 // subtracted once for every occurrence among the recent tokens
	PresencePenalty   float32 // subtracted if it occurs among them at all
	PenaltyWindow     int     // how many of the last tokens count as recent; 0: 64
	LogitBias         map[Token]float32
}

// c fills in C's options, with arrays in memory.
func (o *SamplerOptions) c(c *C.bitnet_sampler_options, memory *scratch) (err error) {
	*c = C.bitnet_sampler_options{
		size: C.sizeof_bitnet_sampler_options, seed: C.uint64_t(o.Seed), temperature: C.float(o.Temperature),
		top_p: C.float(o.TopP), min_p: C.float(o.MinP), repetition_penalty: C.float(o.RepetitionPenalty),
		frequency_penalty: C.float(o.FrequencyPenalty), presence_penalty: C.float(o.PresencePenalty),
	}
	if c.top_k, err = toCount("TopK", o.TopK, math.MaxUint32); err != nil {
		return err
	}
	if c.penalty_window, err = toCount("PenaltyWindow", o.PenaltyWindow, math.MaxUint32); err != nil {
		return err
	}
	c.logit_bias_count = C.size_t(len(o.LogitBias))
	c.logit_bias = (*C.bitnet_logit_bias)(memory.array(len(o.LogitBias), unsafe.Sizeof(C.bitnet_logit_bias{})))
	biases := unsafe.Slice((*C.bitnet_logit_bias)(unsafe.Pointer(c.logit_bias)), len(o.LogitBias))
	for token, bias := range o.LogitBias {
		biases[0] = C.bitnet_logit_bias{token: C.bitnet_token(token), bias: C.float(bias)}
		biases = biases[1:]
	}
	return nil
}

// A Sampler turns logits into a token; it holds the random state.
type Sampler struct {
	mutex sync.Mutex
	c     *C.bitnet_sampler
}

// NewSampler makes a sampler.
func NewSampler(options *SamplerOptions) (*Sampler, error) {
	if options == nil {
		options = &SamplerOptions{}
	}
	var memory scratch
	defer memory.free()
	var c C.bitnet_sampler_options
	if err := options.c(&c, &memory); err != nil {
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
