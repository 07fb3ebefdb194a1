/* SPDX-License-Identifier: MIT */
/* The header lies where pkg-config says, of which a module map cannot ask. */
#include <bitnet.h>
