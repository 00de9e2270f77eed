# SPDX-License-Identifier: GPL-2.0-or-later
# Read by ctest. live_program and fixture_program are set. A test exits with 77 where this machine
# cannot do it; with CI=true in the environment that is a failure.

# Serial: tests that count what is on the host or compare it with another look at it, that measure
# time, or that depend on no process of another namespace ending meanwhile. The others only ask for
# what they made themselves, and wait more than they compute.
set(beside_others "^live[.]((bpf|proc)[.]|kills-|contests-count)")
# What takes longest has to begin first, in a tree without times of earlier runs.
set(long_ones "^live[.]((bpf|proc)[.]why$|kills-|contests-count)")

function(add_live_test name)
  # Those of leaks start many fixtures, a database, or a trial; kills starts all.
  set(limit 120)
  if(name MATCHES "^live[.](leaks|kills)")
    set(limit 400)
  endif()
  set(serial TRUE)
  if(name MATCHES "${beside_others}")
    set(serial FALSE)
  endif()
  set(cost 0)
  if(name MATCHES "${long_ones}")
    set(cost 100)
  endif()
  add_test(${name} "${live_program}" ${ARGN})
  set_tests_properties(${name} PROPERTIES
    LABELS live RUN_SERIAL ${serial} COST ${cost} SKIP_RETURN_CODE 77 TIMEOUT ${limit})
endfunction()

function(add_live_tests)
  if(NOT EXISTS "${live_program}" OR NOT EXISTS "${fixture_program}")
    add_test(live.NOT_BUILT "${live_program}")
    set_tests_properties(live.NOT_BUILT PROPERTIES LABELS live)
    return()
  endif()
  execute_process(COMMAND "${fixture_program}" --list --json
    OUTPUT_VARIABLE table COMMAND_ERROR_IS_FATAL ANY)
  string(JSON count LENGTH "${table}" fixtures)
  math(EXPR last "${count} - 1")
  foreach(index RANGE ${last})
    string(JSON name GET "${table}" fixtures ${index} name)
    # The crowd is the benchmarks' load, without a truth for each channel. The scenes are about
    # `why`: two tests go through all of them. Those of `locks` have a test of their own each, and so
    # have those of `limits`; those that use a mechanism, or work at a pace, have one for all.
    if(name STREQUAL crowd OR name STREQUAL maze OR name MATCHES "^(why|locks|limit|use|busy)-")
      continue()
    endif()
    foreach(source bpf proc)
      add_live_test(live.${source}.${name} --fixture ${name} --source ${source} "fixture")
    endforeach()
  endforeach()
  foreach(source bpf proc)
    add_live_test(live.${source}.why --source ${source} "why")
    set_tests_properties(live.${source}.why PROPERTIES TIMEOUT 600)
  endforeach()
  # What a user does to see whether all of this works on his kernel.
  get_filename_component(programs "${fixture_program}" DIRECTORY)
  add_test(live.selftest "${programs}/ipcscope" selftest)
  set_tests_properties(live.selftest PROPERTIES
    LABELS live RUN_SERIAL TRUE SKIP_RETURN_CODE 77 TIMEOUT 300)
  # The further test cases. Each has one tag, its name here.
  execute_process(COMMAND "${live_program}" --list-test-names-only "~[fixture]"
    OUTPUT_VARIABLE cases)  # the exit status is their number
  string(STRIP "${cases}" cases)
  string(REPLACE "\n" ";" cases "${cases}")
  foreach(case IN LISTS cases)
    string(REPLACE " " "-" name "${case}")
    string(REPLACE "," "\\," pattern "${case}")  # else two patterns, which match nothing
    add_live_test(live.${name} "${pattern}")
  endforeach()
endfunction()

add_live_tests()
