// SPDX-License-Identifier: MIT
using System;
using System.Linq;
using System.Reflection;
using System.Threading.Tasks;
using NUnit.Framework;

/// <summary>Runs the tests of an assembly where NUnit 2 itself cannot, for it needs the remoting that .NET has no longer:
/// RunTests ASSEMBLY CLASS...</summary>
internal static class RunTests {
    private static int Main(string[] arguments) {
        int passed = 0, failed = 0, ignored = 0;
        foreach (string name in arguments.Skip(1)) {
            Type type = Assembly.LoadFrom(arguments[0]).GetType(name, true);
            foreach (MethodInfo method in type.GetMethods()) {
                foreach (object[] values in Cases(method)) {
                    Exception exception = Run(Activator.CreateInstance(type), method, values);
                    if (exception == null) {
                        passed++;
                    } else if (exception is IgnoreException) {
                        ignored++;
                    } else {
                        failed++;
                        Console.WriteLine("{0}.{1}({2}): {3}", name, method.Name, string.Join(", ", values), exception);
                    }
                }
            }
        }
        Console.WriteLine("{0} passed, {1} failed, {2} ignored", passed, failed, ignored);
        return failed == 0 && passed > 0 ? 0 : 1;
    }

    private static object[][] Cases(MethodInfo method) {
        if (method.IsDefined(typeof(TestAttribute))) return new[] { new object[0] };
        return method.GetCustomAttributes<TestCaseAttribute>().Select(test => test.Arguments).ToArray();
    }

    /// <summary>What the test throws, or null.</summary>
    private static Exception Run(object fixture, MethodInfo method, object[] values) {
        try {
            CallEach(fixture, typeof(SetUpAttribute));
            try {
                (method.Invoke(fixture, values) as Task)?.GetAwaiter().GetResult();
            } finally {
                CallEach(fixture, typeof(TearDownAttribute));
            }
            return null;
        } catch (TargetInvocationException exception) {
            return exception.InnerException;
        } catch (Exception exception) {
            return exception;
        }
    }

    private static void CallEach(object fixture, Type attribute) {
        foreach (MethodInfo method in fixture.GetType().GetMethods()) {
            if (method.IsDefined(attribute)) method.Invoke(fixture, null);
        }
    }
}
