// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
// #include <stdlib.h>
import "C"

import (
	"context"
	"fmt"
	"math"
	"unsafe"
)

// GenerateOptions are those of Generate.
type GenerateOptions struct {
	MaxTokens     int             // 0: until an end token or the context is full
	Sampler       *SamplerOptions // nil: the most likely token each time
	Stop          []string        // the text ends before the first of these
	Whole         bool            // the prompt is the whole text: what the session holds of it already is kept
	SpecialPrompt bool            // the prompt may name control tokens; never for text from strangers
	SpecialOutput bool            // write control tokens out
	IgnoreEnd     bool            // go on after an end token
	Trust         bool            // of Chat: contents may name control tokens, see ChatTrust
}

// c fills in C's options, with all that they point to in memory.
func (o *GenerateOptions) c(memory *scratch) (*C.bitnet_generate_options, error) {
	c := (*C.bitnet_generate_options)(memory.array(1, unsafe.Sizeof(C.bitnet_generate_options{})))
	c.size = C.sizeof_bitnet_generate_options
	var err error
	if c.max_tokens, err = toCount("MaxTokens", o.MaxTokens, math.MaxUint32); err != nil {
		return nil, err
	}
	for flag, set := range map[C.uint32_t]bool{
		C.BITNET_GENERATE_WHOLE: o.Whole, C.BITNET_GENERATE_SPECIAL_PROMPT: o.SpecialPrompt,
		C.BITNET_GENERATE_SPECIAL_OUTPUT: o.SpecialOutput, C.BITNET_GENERATE_IGNORE_END: o.IgnoreEnd,
	} {
		if set {
			c.flags |= flag
		}
	}
	if o.Sampler != nil {
		sampler := (*C.bitnet_sampler_options)(memory.array(1, unsafe.Sizeof(C.bitnet_sampler_options{})))
		if err := o.Sampler.c(sampler, memory); err != nil {
			return nil, err
		}
		c.sampler = sampler
	}
	stops := (**C.char)(memory.array(len(o.Stop), unsafe.Sizeof((*C.char)(nil))))
	for i, stop := range o.Stop {
		if unsafe.Slice(stops, len(o.Stop))[i], err = memory.text(stop, "a stop string"); err != nil {
			return nil, err
		}
	}
	c.stop = stops
	c.stop_count = C.size_t(len(o.Stop))
	return c, nil
}

// A Finish is why a text ended.
type Finish int32

const (
	FinishNot       Finish = C.BITNET_FINISH_NOT       // there is more to come, or an error ended it
	FinishEndToken  Finish = C.BITNET_FINISH_END_TOKEN // the model ended it
	FinishStop      Finish = C.BITNET_FINISH_STOP      // a stop string came
	FinishMaxTokens Finish = C.BITNET_FINISH_MAX_TOKENS
	FinishContext   Finish = C.BITNET_FINISH_CONTEXT // the session is full
)

// String says it in a few words.
func (f Finish) String() string {
	switch f {
	case FinishNot:
		return "not finished"
	case FinishEndToken:
		return "end token"
	case FinishStop:
		return "stop string"
	case FinishMaxTokens:
		return "as many tokens as asked for"
	case FinishContext:
		return "context full"
	}
	return fmt.Sprintf("Finish(%d)", int32(f))
}

// A Generation is text being generated in a session, pulled piece by piece:
//
//	text := session.Generate(ctx, prompt, options)
//	for text.Next() {
//		fmt.Print(text.Text())
//	}
//	err := text.Err()
//
// or, from Go 1.23 on, by ranging over All. Whatever else changes the session ends it, with ErrOver. Unlike other objects
// it belongs to one goroutine at a time; others cancel its context.
type Generation struct {
	session *Session
	err     error
	text    string
	tokens  []Token
	finish  Finish
}

// Generate goes on from what the session holds and the prompt, until the context ends. Nothing is evaluated until Next.
func (s *Session) Generate(ctx context.Context, prompt string, options *GenerateOptions) *Generation {
	bytes := []byte(prompt)
	return s.generate(ctx, options, func(o *C.bitnet_generate_options, generation **C.bitnet_generation) C.bitnet_status {
		data, length := bytePointer(bytes)
		return C.bitnet_generation_start(s.c, data, length, o, generation)
	})
}

// GenerateTokens is Generate with a prompt of tokens, to which nothing is added.
func (s *Session) GenerateTokens(ctx context.Context, prompt []Token, options *GenerateOptions) *Generation {
	return s.generate(ctx, options, func(o *C.bitnet_generate_options, generation **C.bitnet_generation) C.bitnet_status {
		data, count := tokenPointer(prompt)
		return C.bitnet_generation_start_tokens(s.c, data, count, o, generation)
	})
}

// Chat generates the assistant's answer to a conversation, given whole each time, by the model's chat template. What the
// session holds of it is kept. Control tokens that contents spell out are plain text, unless options say Trust.
func (s *Session) Chat(ctx context.Context, messages []Message, options *GenerateOptions) *Generation {
	if s.model == nil {
		return &Generation{err: sessionClosed}
	}
	chat := GenerateOptions{}
	if options != nil {
		chat = *options
	}
	flags := ChatReply
	if chat.Trust {
		flags |= ChatTrust
	}
	prompt, err := s.model.ChatTokenize(messages, flags)
	if err != nil {
		return &Generation{err: err}
	}
	chat.Whole = true
	return s.GenerateTokens(ctx, prompt, &chat)
}

func (s *Session) generate(ctx context.Context, options *GenerateOptions,
	start func(*C.bitnet_generate_options, **C.bitnet_generation) C.bitnet_status) *Generation {
	g := &Generation{session: s}
	if options == nil {
		options = &GenerateOptions{}
	}
	var memory scratch
	defer memory.free()
	o, err := options.c(&memory)
	if err != nil {
		g.err = err
		return g
	}
	w := newWatch(ctx)
	g.err = s.change(func() C.bitnet_status {
		var generation *C.bitnet_generation
		status := start(o, &generation)
		if status == C.BITNET_OK {
			s.generation, s.generating, s.watch = generation, g, w
		}
		return status
	})
	if g.err != nil {
		w.end()
	}
	return g
}

// Next goes on to the next piece of text. It is false at the end, and after an error.
func (g *Generation) Next() bool {
	for g.err == nil && g.finish == FinishNot {
		g.err = g.step()
		if g.err == nil && g.text != "" {
			return true
		}
	}
	g.text = ""
	return false
}

// step draws one token, whose text may be empty.
func (g *Generation) step() error {
	s := g.session
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mutex.Unlock()
	if s.generating != g {
		return ErrOver
	}
	piece := C.bitnet_piece{size: C.sizeof_bitnet_piece}
	err := s.watch.run([]*Session{s}, func(cancel *C.int32_t) C.bitnet_status {
		return C.bitnet_go_next(s.generation, &piece, cancel)
	})
	if err != nil {
		s.endGeneration()
		return err
	}
	g.text = C.GoStringN(piece.text, C.int(piece.length))
	g.finish = Finish(piece.finish)
	if g.finish == FinishNot {
		g.tokens = append(g.tokens, Token(piece.token))
	} else {
		s.endGeneration()
	}
	return nil
}

// Text is the piece that Next went on to: whole characters, never empty.
func (g *Generation) Text() string { return g.text }

// Tokens are those drawn so far. They must not be changed.
func (g *Generation) Tokens() []Token { return g.tokens }

// Finish is why the text ended.
func (g *Generation) Finish() Finish { return g.finish }

// Err is what ended the text before its time; the context's error if that ended.
func (g *Generation) Err() error { return g.err }

// String tells how far it has come, as "Generation[12 tokens, not finished]".
func (g *Generation) String() string {
	return fmt.Sprintf("Generation[%d tokens, %v]", len(g.tokens), g.finish)
}

// All ranges over the pieces; the last has no text but an error, if one ended them.
func (g *Generation) All() func(yield func(text string, err error) bool) {
	return func(yield func(string, error) bool) {
		for g.Next() {
			if !yield(g.text, nil) {
				return
			}
		}
		if g.err != nil {
			yield("", g.err)
		}
	}
}
