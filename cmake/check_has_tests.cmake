# SPDX-License-Identifier: Apache-2.0
# Run after each test binary is linked: one that contains no test would pass silently, so it fails the build instead.
# -DPROGRAM=<test binary>

execute_process(COMMAND ${PROGRAM} --gtest_list_tests OUTPUT_VARIABLE tests RESULT_VARIABLE result)
if(result)
  message(FATAL_ERROR "${PROGRAM} --gtest_list_tests ended with ${result}")
endif()
if(NOT tests MATCHES "\n  [^ ]")
  message(FATAL_ERROR "${PROGRAM} contains no test")
endif()
