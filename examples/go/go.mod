// SPDX-License-Identifier: MIT
module example.org/hello

go 1.19

require github.com/libbitnet/libbitnet/bindings/go v0.2.0

// The package beside this example; leave this line out to use a published one.
replace github.com/libbitnet/libbitnet/bindings/go => ../../bindings/go
