# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds for arm64 with Debian's cross compiler, g++-aarch64-linux-gnu. Headers and libraries are
# those in IPCSCOPE_SYSROOT only, which tests/kernels/sysroot.py fills; programs are the host's.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(IPCSCOPE_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../../build/kernels/arm64/sysroot
  CACHE PATH "Where the packages of arm64 are unpacked")
# Compilers are tried in projects of their own.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES IPCSCOPE_SYSROOT)
file(REAL_PATH ${IPCSCOPE_SYSROOT} CMAKE_SYSROOT)
# The cross compiler has headers of its own, and looks there first: of the first 6.1, whatever the sysroot has.
foreach(language C CXX)
  set(CMAKE_${language}_FLAGS_INIT
    "-isystem ${CMAKE_SYSROOT}/usr/include/aarch64-linux-gnu -isystem ${CMAKE_SYSROOT}/usr/include")
endforeach()
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
  ${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)
