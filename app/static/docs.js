// Starts Swagger UI. A file of its own because the page's Content-Security-Policy allows no script inline.
"use strict";

window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null, // nothing of this page is sent to anyone
});
