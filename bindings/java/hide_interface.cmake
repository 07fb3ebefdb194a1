# SPDX-License-Identifier: MIT
# Makes the public interface in the Java source FILE one of its package alone.
file(READ ${FILE} text)
string(REPLACE "public interface" "interface" text "${text}")
file(WRITE ${FILE} "${text}")
