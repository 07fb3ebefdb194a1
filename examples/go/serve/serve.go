// SPDX-License-Identifier: MIT

// Serves many clients from one model: each sends a line, and gets the text that the model goes on with. Each has a
// goroutine, but none has a thread of the system while it waits for its text.
//
//	go build ./serve
//	./serve model.bitnet 7500 &
//	echo "It was a fine morning, and" | nc 127.0.0.1 7500
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

const clients = 16 // at once; others wait
const tokens = 100

func answer(ctx context.Context, model *bitnet.Model, client net.Conn) error {
	defer client.Close()
	prompt, err := bufio.NewReader(client).ReadString('\n')
	if err != nil {
		return err
	}
	session, err := model.NewSession(&bitnet.SessionOptions{Context: 512})
	if err != nil {
		return err
	}
	defer session.Close()
	text := session.Generate(ctx, prompt[:len(prompt)-1], &bitnet.GenerateOptions{MaxTokens: tokens})
	for text.Next() {
		if _, err := io.WriteString(client, text.Text()); err != nil {
			return err // the client has gone; closing the session ends its generation
		}
	}
	return text.Err()
}

func serve(ctx context.Context, path, port string) error {
	model, err := bitnet.Open(path, nil)
	if err != nil {
		return err
	}
	defer model.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		listener.Close()
	}()
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	places := make(chan bool, clients)
	for {
		client, err := listener.Accept()
		if err != nil {
			return ctx.Err()
		}
		go func() {
			places <- true
			defer func() { <-places }()
			if err := answer(ctx, model, client); err != nil {
				fmt.Fprintf(os.Stderr, "%v: %v\n", client.RemoteAddr(), err)
			}
		}()
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintf(os.Stderr, "usage: %s MODEL PORT\n", os.Args[0])
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serve(ctx, os.Args[1], os.Args[2]); err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
}
