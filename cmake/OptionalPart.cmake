# SPDX-License-Identifier: Apache-2.0
# An option of what is built only where it is found: AUTO, ON (an error where it is not found) or OFF. Sets <option>_ENABLED to OFF, for
# the caller to say otherwise.
macro(fryer_optional_part option description)
  set(${option} AUTO CACHE STRING "${description}")
  set_property(CACHE ${option} PROPERTY STRINGS AUTO ON OFF)
  if(NOT ${option} MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "${option} is '${${option}}'; it may be AUTO, ON or OFF")
  endif()
  set(${option}_ENABLED OFF)
endmacro()
