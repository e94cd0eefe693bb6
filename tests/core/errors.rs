//! The page side knows the category and the advice of every code by itself: it must know the same.

use millrace::error::Code;
use std::path::Path;

#[test]
fn the_page_knows_category_and_advice_of_every_code() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("www/lib/errors.ts")).unwrap();
    let table = text.split_once("const known = {\n").unwrap().1.split_once("} as const;").unwrap().0;
    let row = |code: &Code| {
        let quote = if code.advice().contains('\'') { '"' } else { '\'' };
        let category = format!("{:?}", code.category()).to_lowercase();
        format!("  {}: ['{category}', {quote}{}{quote}],\n", code.as_str(), code.advice())
    };
    assert_eq!(table, Code::ALL.iter().map(row).collect::<String>());
}
