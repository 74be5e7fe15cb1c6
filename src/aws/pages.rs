//! Lists that come in pages.

use crate::http::is_last_page;

/// Returns the items of all pages, up to the most pages that are read of any list. `next`
/// is a paginator's own `next`.
pub async fn all<P, T, E>(
    mut next: impl AsyncFnMut() -> Option<Result<P, E>>,
    items: impl Fn(P) -> Option<Vec<T>>,
) -> Result<Vec<T>, E> {
    let mut all = Vec::new();
    let mut number = 0;
    while let Some(page) = next().await {
        number += 1;
        all.extend(items(page?).unwrap_or_default());
        if is_last_page(number) {
            break;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_without_end_is_read_in_part() {
        let endless = async || Some(Ok::<_, ()>(vec![1]));
        let read = all(endless, Some).await;
        assert_eq!(read.map(|items| items.len()), Ok(100));
    }
}
