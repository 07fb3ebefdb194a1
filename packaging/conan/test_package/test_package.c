// SPDX-License-Identifier: MIT
// The library is there, and says what it cannot open.
#include <bitnet.h>
#include <stdio.h>

int main(void) {
  bitnet_model* model = NULL;
  const bitnet_status status = bitnet_open("no such file", NULL, &model);
  printf("bitnet %s: %s\n", bitnet_version_string(), bitnet_last_error());
  return status == BITNET_OK;
}
