; Definitions
(function_definition name: (word) @def.function)
; References
(command name: (command_name (word) @ref))
