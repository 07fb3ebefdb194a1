// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
// #include <stdlib.h>
import "C"

import (
	"context"
	"fmt"
)

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
	ctx     context.Context
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
	_ = ctx.Err() // no context is a mistake that shows at once
	g := &Generation{session: s, ctx: ctx}
	var memory scratch
	defer memory.free()
	o, err := options.c(&memory)
	if err != nil {
		g.err = err
		return g
	}
	g.err = s.change(func() C.bitnet_status {
		var generation *C.bitnet_generation
		status := start(&o, &generation)
		if status == C.BITNET_OK {
			s.generation, s.generating = generation, g
		}
		return status
	})
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

// step waits for one token, whose text may be empty.
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
	if err := next(g.ctx, s.generation, &piece); err != nil {
		s.endGeneration()
		return ended(g.ctx, err)
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
