// SPDX-License-Identifier: MIT
using System;
using Bitnet;

/// <summary>Every way into the assembly, one after the other: what check_missing looks at.</summary>
internal static class Probe {
    private static void Main(string[] arguments) {
        var ways = new Action[] {
            () => Library.Version.ToString(), () => Library.IsaNames.ToString(), () => Library.CpuFeatures.ToString(),
            () => Library.ChatTemplateNames.ToString(), () => Model.Open(arguments[0]).Dispose(),
            () => new Sampler().Dispose(), () => Library.Verify(arguments[0]), () => Library.Version.ToString()
        };
        foreach (Action way in ways) {
            try {
                way();
                Console.WriteLine("fine");
            } catch (Exception exception) {
                Console.WriteLine(exception.GetType() + ": " + exception.Message.Replace("\n", " "));
            }
        }
    }
}
