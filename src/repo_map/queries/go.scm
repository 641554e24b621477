; Definitions
(function_declaration name: (identifier) @def.function)
(method_declaration name: (field_identifier) @def.function)
(type_spec name: (type_identifier) @def.class)
(type_alias name: (type_identifier) @def.class)
(source_file (const_declaration (const_spec name: (identifier) @def.constant)))
(source_file (var_declaration (var_spec name: (identifier) @def.constant)))
; References
(call_expression function: [(identifier) @ref (selector_expression field: (field_identifier) @ref)])
(type_identifier) @ref
