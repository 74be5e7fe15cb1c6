//! Reads paginated lists.

use aws_smithy_async::future::pagination_stream::PaginationStream;

use crate::net::http::is_last_page;

/// Returns the items of all pages, up to the most pages that are read of any list.
pub async fn collect_pages<P, T, E>(
    mut pages: PaginationStream<Result<P, E>>,
    items: impl Fn(P) -> Option<Vec<T>>,
) -> Result<Vec<T>, E> {
    let mut all = Vec::new();
    let mut number = 0;
    while let Some(page) = pages.next().await {
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
    use aws_smithy_async::future::pagination_stream::fn_stream::FnStream;

    use super::*;

    #[tokio::test]
    async fn endless_list_is_truncated() {
        let endless = FnStream::new(|sender| {
            Box::pin(async move { while sender.send(Ok::<_, ()>(vec![1])).await.is_ok() {} })
        });
        let read = collect_pages(PaginationStream::new(endless), Some).await;
        assert_eq!(read.map(|items| items.len()), Ok(100));
    }
}
