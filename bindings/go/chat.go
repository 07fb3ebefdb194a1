// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
// #include <stdlib.h>
import "C"

import (
	"context"
	"math"
	"runtime"
	"sync"
)

// A Chat is a conversation, whose replies a session generates:
//
//	reply := chat.Send(ctx, "What is a trit?", nil)
//	for reply.Next() {
//		fmt.Print(reply.Text())
//	}
//	err := reply.Err()
//
// What the session holds of a prompt is not evaluated again, and a reply is the same whatever it holds. It may be used for
// other things between replies. While one goroutine pulls a reply, others may look at the history.
type Chat struct {
	mutex   sync.RWMutex // held for writing by Close
	c       *C.bitnet_chat
	session *Session
}

// ChatOptions is how a conversation is held.
type ChatOptions struct {
	// Control tokens spelt out in contents are those tokens. Never for text from strangers.
	Trust bool
	// Where the model has no template, a conversation is plain text that it goes on with.
	Plain bool
	// What is done about a history that leaves too little room for a reply.
	Fit ChatFit
	// Tokens of the context that a prompt leaves free for the reply; 0: the reply's MaxTokens, or 256, but no more than a
	// quarter of the context.
	Reserve int
}

// A ChatPrompt is the latest prompt of a chat, also one that was refused with ErrContext.
type ChatPrompt struct {
	LeftOut, LeftOutFrom int // how many messages were left out, and the first of them
	Tokens, TokensNeeded int // that it has, and what it takes with the room for the reply
}

// NewChat makes an empty conversation.
func (s *Session) NewChat(options *ChatOptions) (*Chat, error) {
	o := C.bitnet_chat_options{size: C.sizeof_bitnet_chat_options}
	if options != nil {
		if options.Trust {
			o.flags |= C.BITNET_CHAT_TRUST
		}
		if options.Plain {
			o.flags |= C.BITNET_CHAT_PLAIN
		}
		o.fit = C.bitnet_chat_fit(options.Fit)
		var err error
		if o.reserve, err = toCount("Reserve", options.Reserve, math.MaxUint32); err != nil {
			return nil, err
		}
	}
	c := &Chat{session: s}
	err := s.use(func() C.bitnet_status {
		status := C.bitnet_chat_create(s.c, &o, &c.c)
		if status == C.BITNET_OK {
			s.model.base.acquire()
		}
		return status
	})
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(c, (*Chat).Close)
	return c, nil
}

// Session is what generates the replies.
func (c *Chat) Session() *Session { return c.session }

// Close lets go of the conversation. A reply under way ends. It always returns nil.
func (c *Chat) Close() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.c != nil {
		C.bitnet_chat_free(c.c)
		c.c = nil
		c.session.model.base.release()
	}
	return nil
}

func (c *Chat) use(function func(*C.bitnet_chat) C.bitnet_status) error {
	c.mutex.RLock()
	defer c.mutex.RUnlock()
	if c.c == nil {
		return chatClosed
	}
	return call(func() C.bitnet_status { return function(c.c) })
}

// Add puts a message at the end. Like every change of the history it ends a reply under way, whose text so far stays.
func (c *Chat) Add(role, content string) error {
	return c.with(Message{role, content}, func(chat *C.bitnet_chat, message *C.bitnet_message) C.bitnet_status {
		return C.bitnet_chat_add(chat, message)
	})
}

// Insert puts a message before message index.
func (c *Chat) Insert(index int, role, content string) error {
	at, err := toSize("index", index)
	if err != nil {
		return err
	}
	return c.with(Message{role, content}, func(chat *C.bitnet_chat, message *C.bitnet_message) C.bitnet_status {
		return C.bitnet_chat_insert(chat, at, message)
	})
}

func (c *Chat) with(message Message, function func(*C.bitnet_chat, *C.bitnet_message) C.bitnet_status) error {
	var memory scratch
	defer memory.free()
	first, err := memory.conversation([]Message{message})
	if err != nil {
		return err
	}
	return c.use(func(chat *C.bitnet_chat) C.bitnet_status { return function(chat, first) })
}

// Remove takes out count messages from index on.
func (c *Chat) Remove(index, count int) error {
	at, err := toSize("index", index)
	if err != nil {
		return err
	}
	n, err := toSize("count", count)
	if err != nil {
		return err
	}
	return c.use(func(chat *C.bitnet_chat) C.bitnet_status { return C.bitnet_chat_remove(chat, at, n) })
}

func toSize(name string, value int) (C.size_t, error) {
	count, err := toCount(name, value, math.MaxUint32)
	return C.size_t(count), err
}

// Messages is a copy of the history.
func (c *Chat) Messages() ([]Message, error) {
	messages := []Message{}
	err := c.use(func(chat *C.bitnet_chat) C.bitnet_status {
		count := C.bitnet_chat_count(chat)
		for i := C.size_t(0); i < count; i++ {
			message := C.bitnet_message{size: C.sizeof_bitnet_message}
			if status := C.bitnet_chat_message(chat, i, &message); status != C.BITNET_OK {
				return status
			}
			messages = append(messages, Message{C.GoString(message.role), C.GoStringN(message.content, C.int(message.length))})
		}
		return C.BITNET_OK
	})
	return messages, err
}

// Reply generates the assistant's reply to the history, which has it as soon as the text has ended. What had been given out
// of one that is broken off stays.
func (c *Chat) Reply(ctx context.Context, options *GenerateOptions) *Generation {
	return c.start(ctx, options, func(chat *C.bitnet_chat, o *C.bitnet_generate_options,
		generation **C.bitnet_generation) C.bitnet_status {
		return C.bitnet_chat_reply(chat, o, generation)
	})
}

// Regenerate gives another reply in place of the last message, which stays until the new one is there.
func (c *Chat) Regenerate(ctx context.Context, options *GenerateOptions) *Generation {
	return c.start(ctx, options, func(chat *C.bitnet_chat, o *C.bitnet_generate_options,
		generation **C.bitnet_generation) C.bitnet_status {
		return C.bitnet_chat_regenerate(chat, o, generation)
	})
}

// Send adds a message of the user, and gives the reply to it. Where there can be none, the history is as before.
func (c *Chat) Send(ctx context.Context, text string, options *GenerateOptions) *Generation {
	if err := c.Add("user", text); err != nil {
		return &Generation{err: err}
	}
	g := c.Reply(ctx, options)
	if g.err != nil {
		_ = c.use(func(chat *C.bitnet_chat) C.bitnet_status {
			return C.bitnet_chat_remove(chat, C.bitnet_chat_count(chat)-1, 1)
		})
	}
	return g
}

func (c *Chat) start(ctx context.Context, options *GenerateOptions,
	function func(*C.bitnet_chat, *C.bitnet_generate_options, **C.bitnet_generation) C.bitnet_status) *Generation {
	c.mutex.RLock()
	defer c.mutex.RUnlock()
	if c.c == nil {
		return &Generation{err: chatClosed}
	}
	return c.session.generate(ctx, options, func(o *C.bitnet_generate_options,
		generation **C.bitnet_generation) C.bitnet_status {
		return function(c.c, o, generation)
	})
}

// Prompt tells of the latest prompt; zeros before the first.
func (c *Chat) Prompt() (ChatPrompt, error) {
	prompt := C.bitnet_chat_prompt{size: C.sizeof_bitnet_chat_prompt}
	err := c.use(func(chat *C.bitnet_chat) C.bitnet_status { return C.bitnet_chat_get_prompt(chat, &prompt) })
	return ChatPrompt{int(prompt.left_out), int(prompt.left_out_from), int(prompt.tokens), int(prompt.tokens_needed)}, err
}

// Save writes the history to a file, as JSON that other programs know: {"model": ..., "messages": [...]}.
func (c *Chat) Save(path string) error {
	return c.withPath(path, func(chat *C.bitnet_chat, p *C.char) C.bitnet_status { return C.bitnet_chat_save(chat, p) })
}

// Load reads back what Save wrote, or any such file, in place of the history.
func (c *Chat) Load(path string) error {
	return c.withPath(path, func(chat *C.bitnet_chat, p *C.char) C.bitnet_status { return C.bitnet_chat_load(chat, p) })
}

func (c *Chat) withPath(path string, function func(*C.bitnet_chat, *C.char) C.bitnet_status) error {
	var memory scratch
	defer memory.free()
	p, err := memory.text(path, "the path")
	if err != nil {
		return err
	}
	return c.use(func(chat *C.bitnet_chat) C.bitnet_status { return function(chat, p) })
}

// MarshalJSON gives what Save writes.
func (c *Chat) MarshalJSON() ([]byte, error) {
	c.mutex.RLock()
	defer c.mutex.RUnlock()
	if c.c == nil {
		return nil, chatClosed
	}
	return fillBytes(1024, func(out *C.char, capacity C.size_t, length *C.size_t) C.bitnet_status {
		return C.bitnet_chat_save_memory(c.c, out, capacity, length)
	})
}

// UnmarshalJSON reads such JSON in place of the history.
func (c *Chat) UnmarshalJSON(text []byte) error {
	return c.use(func(chat *C.bitnet_chat) C.bitnet_status {
		data, length := bytePointer(text)
		return C.bitnet_chat_load_memory(chat, data, length)
	})
}
