// SPDX-License-Identifier: MIT
// The smallest complete program: the model goes on with your text.
//
//     dotnet add package Bitnet
//     dotnet run model.bitnet "It was a fine morning, and"
using System;
using System.IO;
using Bitnet;

internal static class Hello {
    private static int Main(string[] arguments) {
        if (arguments.Length != 2) {
            Console.Error.WriteLine("usage: Hello MODEL PROMPT");
            return 2;
        }
        try {
            using (var model = Model.Open(arguments[0]))
            using (var session = model.CreateSession()) {
                foreach (string text in session.Generate(arguments[1], new GenerateOptions { MaxTokens = 100 })) {
                    Console.Write(text);
                }
                Console.WriteLine();
            }
            return 0;
        } catch (Exception error) when (error is BitnetException || error is IOException) {
            Console.Error.WriteLine("Hello: " + error.Message);
            return 1;
        }
    }
}
