// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
import "C"

import "sync"

// completions is where goroutines wait for the pieces of their generations. One goroutine waits in C for all of them, and
// so takes one thread of the system, however many there are. It ends when nobody has waited for a while.
var completions struct {
	mutex   sync.Mutex
	queue   *C.bitnet_queue
	waiting map[uintptr]chan struct{} // by the number under which C gives them
	last    uintptr
}

const idleMilliseconds = 500

// await submits a generation and waits until its next piece is there, or cancelled ends and so has cancelled it.
func await(generation *C.bitnet_generation, cancelled <-chan struct{}) error {
	ready := make(chan struct{})
	if err := submit(generation, ready); err != nil {
		return err
	}
	select {
	case <-ready:
	case <-cancelled:
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
