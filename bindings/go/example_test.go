// SPDX-License-Identifier: MIT
package bitnet_test

import (
	"context"
	"fmt"
	"log"
	"os"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

func Example() {
	model, err := bitnet.Open(os.Getenv("BITNET_MODEL"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	session, err := model.NewSession(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	text := session.Generate(context.Background(), "It was a fine morning, and", &bitnet.GenerateOptions{MaxTokens: 14})
	for text.Next() {
		fmt.Print(text.Text())
	}
	if err := text.Err(); err != nil {
		log.Fatal(err)
	}
	// Output: she was not in the habit of being able to be in the room
}

// Every option is off unless it is set; the same seed writes the same text everywhere.
func ExampleSamplerOptions() {
	options := bitnet.GenerateOptions{
		MaxTokens: 100,
		Stop:      []string{"\n\n"},
		Sampler:   &bitnet.SamplerOptions{Seed: 42, Temperature: 0.8, TopP: 0.95, RepetitionPenalty: 1.1},
	}
	fmt.Println(options.Sampler.Seed)
	// Output: 42
}
