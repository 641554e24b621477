; Definitions
(function_declarator declarator: [(identifier) @def.function (field_identifier) @def.function
  (qualified_identifier name: (identifier) @def.function)])
(class_specifier name: (type_identifier) @def.class body: (_))
(struct_specifier name: (type_identifier) @def.class body: (_))
(union_specifier name: (type_identifier) @def.class body: (_))
(enum_specifier name: (type_identifier) @def.class body: (_))
(type_definition declarator: (type_identifier) @def.class)
(alias_declaration name: (type_identifier) @def.class)
(namespace_definition name: (namespace_identifier) @def.module)
(preproc_def name: (identifier) @def.macro)
(preproc_function_def name: (identifier) @def.macro)
; References
(call_expression function: [(identifier) @ref (field_expression field: (field_identifier) @ref)
  (qualified_identifier name: (identifier) @ref)])
(type_identifier) @ref
