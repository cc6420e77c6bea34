/* Not needed to read the page: opens what belongs on paper before printing, and folds it again. */
addEventListener("beforeprint", function () {
  document.querySelectorAll("details.paper:not([open])").forEach(function (item) {
    item.open = true;
    item.dataset.folded = "";
  });
});
addEventListener("afterprint", function () {
  document.querySelectorAll("details[data-folded]").forEach(function (item) {
    item.open = false;
    delete item.dataset.folded;
  });
});
/* A link to something folded opens it, in browsers that do not do so themselves. */
function reveal() {
  var target = location.hash && document.getElementById(location.hash.slice(1));
  for (var item = target; item; item = item.parentElement) {
    if (item.tagName === "DETAILS") item.open = true;
  }
}
addEventListener("hashchange", reveal);
reveal();
