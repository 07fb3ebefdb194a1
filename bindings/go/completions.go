// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
import "C"

import (
	"context"
	"sync"
	"sync/atomic"
)

// completions is where goroutines wait for the pieces of their generations. One goroutine waits in C for all of them, and
// so takes one thread of the system, however many there are. It ends when nobody has waited for a while.
var completions struct {
	stepping atomic.Int32 // goroutines that wait, here or in C
	mutex    sync.Mutex
	queue    *C.bitnet_queue
	waiting  map[uintptr]chan struct{} // by the number under which C gives them
	last     uintptr
}

const idleMilliseconds = 500

// next waits for the next piece of a generation, whose session is held. The context cancels it. Who is alone waits in C,
// which is quicker than to be told of it.
func next(ctx context.Context, generation *C.bitnet_generation, piece *C.bitnet_piece) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer completions.stepping.Add(-1)
	if completions.stepping.Add(1) == 1 {
		stop := onDone(ctx, func() { C.bitnet_generation_cancel(generation) })
		defer stop()
	} else if err := await(ctx, generation); err != nil {
		return err
	}
	return call(func() C.bitnet_status { return C.bitnet_generation_next(generation, piece) })
}

// await waits until the next piece is there, an error, or the end.
func await(ctx context.Context, generation *C.bitnet_generation) error {
	ready := make(chan struct{})
	if err := submit(generation, ready); err != nil {
		return err
	}
	select {
	case <-ready:
	case <-ctx.Done():
		C.bitnet_generation_cancel(generation)
		<-ready
	}
	return nil
}

func submit(generation *C.bitnet_generation, ready chan struct{}) error {
	w := &completions
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.queue == nil {
		if err := call(func() C.bitnet_status { return C.bitnet_queue_create(&w.queue) }); err != nil {
			return err
		}
		w.waiting = map[uintptr]chan struct{}{}
		go dispatch()
	}
	w.last++
	number := w.last
	err := call(func() C.bitnet_status { return C.bitnet_go_submit(generation, w.queue, C.uintptr_t(number)) })
	if err == nil {
		w.waiting[number] = ready
	}
	return err
}

func dispatch() {
	w := &completions
	for {
		var number C.uintptr_t
		given := C.bitnet_go_queue_next(w.queue, idleMilliseconds, &number) == C.BITNET_OK
		w.mutex.Lock()
		if given {
			close(w.waiting[uintptr(number)])
			delete(w.waiting, uintptr(number))
		} else if len(w.waiting) == 0 {
			C.bitnet_queue_free(w.queue)
			w.queue = nil
			w.mutex.Unlock()
			return
		}
		w.mutex.Unlock()
	}
}
