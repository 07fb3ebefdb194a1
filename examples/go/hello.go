// SPDX-License-Identifier: MIT

// The smallest complete program: the model goes on with your text, until it has ended or you press Ctrl-C.
//
//	go build -o hello hello.go
//	./hello model.bitnet "It was a fine morning, and"
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

func write(ctx context.Context, path, prompt string) error {
	model, err := bitnet.Open(path, nil)
	if err != nil {
		return err
	}
	defer model.Close()
	session, err := model.NewSession(nil)
	if err != nil {
		return err
	}
	defer session.Close()

	text := session.Generate(ctx, prompt, &bitnet.GenerateOptions{MaxTokens: 100})
	for text.Next() {
		fmt.Print(text.Text())
	}
	fmt.Println()
	return text.Err()
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintf(os.Stderr, "usage: %s MODEL PROMPT\n", os.Args[0])
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := write(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
}
