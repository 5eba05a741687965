// Draws the API's own description: its operations and models alone, because the page around them has a main
// part and a title already. Without deep links, each of which would be a link within a button.
const place = document.getElementById("swagger");

const parts = ({ React }) => ({
  components: {
    Parts: ({ getComponent, specSelectors }) => {
      const shown = specSelectors.specJson().size ? ["errors", "operations", "Models"] : [];
      const drawn = shown.map((name) => React.createElement(getComponent(name, true), { key: name }));
      return React.createElement("div", { className: "swagger-ui" }, ...drawn);
    },
  },
});

SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  plugins: [parts],
  layout: "Parts",
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
  syntaxHighlight: false,
});
