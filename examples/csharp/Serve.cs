// SPDX-License-Identifier: MIT
// Serves many clients from one model: each sends a line, and gets the text that the model goes on with. No thread waits for
// any of them.
//
//     dotnet add package Bitnet
//     dotnet run model.bitnet 7500 &
//     echo "It was a fine morning, and" | nc 127.0.0.1 7500
using System;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Bitnet;

internal static class Serve {
    private const int Clients = 16;  // at once; others wait
    private const int Tokens = 100;
    private static readonly SemaphoreSlim places = new SemaphoreSlim(Clients);

    private static async Task Answer(Model model, TcpClient client) {
        await places.WaitAsync();
        try {
            using (client)
            using (var session = model.CreateSession(new SessionOptions { Context = 512 })) {
                NetworkStream stream = client.GetStream();
                string prompt = await new StreamReader(stream, new UTF8Encoding(false)).ReadLineAsync() ?? "";
                // From C# 8 on: await foreach (string text in session.Generate(...)).
                var pieces = session.Generate(prompt, new GenerateOptions { MaxTokens = Tokens }).GetAsyncEnumerator();
                while (await pieces.MoveNextAsync()) {
                    byte[] text = Encoding.UTF8.GetBytes(pieces.Current);
                    await stream.WriteAsync(text, 0, text.Length);
                }
            }
        } catch (Exception error) when (error is IOException || error is SocketException || error is BitnetException) {
            // A client that has gone, for one; disposing of the session has ended its generation.
            Console.Error.WriteLine(error.Message);
        } finally {
            places.Release();
        }
    }

    private static int Main(string[] arguments) {
        if (arguments.Length != 2) {
            Console.Error.WriteLine("usage: Serve MODEL PORT");
            return 2;
        }
        var listener = new TcpListener(IPAddress.Loopback, int.Parse(arguments[1]));
        using (var model = Model.Open(arguments[0])) {
            listener.Start();
            Console.WriteLine("port {0}", ((IPEndPoint)listener.LocalEndpoint).Port);
            Console.Out.Flush();
            while (true) {
                TcpClient client = listener.AcceptTcpClient();
                Answer(model, client).ContinueWith(done => Console.Error.WriteLine(done.Exception),
                                                   TaskContinuationOptions.OnlyOnFaulted);
            }
        }
    }
}
