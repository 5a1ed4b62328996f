//! Routes that are registered together with their descriptions: what the router answers and what the documents say come
//! from one table.

use super::operation::Operation;
use crate::api::Api;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, any};
use std::sync::Arc;

/// An operation and where it is.
#[derive(Debug)]
pub(crate) struct Described {
    /// The path as routers write it, which is how OpenAPI writes it.
    pub(crate) path: String,
    /// The method, in lower case.
    pub(crate) method: &'static str,
    /// What it takes and answers.
    pub(crate) operation: Operation,
}

/// Routes and their descriptions.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<Arc<Api>>,
    described: Vec<Described>,
}

impl Routes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// These methods at this path.
    #[must_use]
    pub(crate) fn at(mut self, path: &str, methods: Methods) -> Self {
        self.router = self.router.route(path, methods.router);
        let described = methods.operations.into_iter();
        self.described.extend(described.map(|(method, operation)| Described {
            path: path.to_owned(),
            method,
            operation,
        }));
        self
    }

    /// These routes too.
    #[must_use]
    pub(crate) fn merge(mut self, others: Self) -> Self {
        self.router = self.router.merge(others.router);
        self.described.extend(others.described);
        self
    }

    /// These routes too, below a path.
    #[must_use]
    pub(crate) fn nest(mut self, base: &str, others: Self) -> Self {
        self.router = self.router.nest(base, others.router);
        let below = |inner: Described| Described { path: format!("{base}{}", inner.path), ..inner };
        self.described.extend(others.described.into_iter().map(below));
        self
    }

    /// Changes the router, such as by a layer.
    #[must_use]
    pub(crate) fn with(mut self, change: impl FnOnce(Router<Arc<Api>>) -> Router<Arc<Api>>) -> Self {
        self.router = change(self.router);
        self
    }

    /// What answers.
    pub(crate) fn into_router(self) -> Router<Arc<Api>> {
        self.router
    }

    /// What the answers are.
    pub(crate) fn into_described(self) -> Vec<Described> {
        self.described
    }
}

/// The methods of one path and their descriptions.
#[derive(Default)]
pub(crate) struct Methods {
    router: MethodRouter<Arc<Api>>,
    operations: Vec<(&'static str, Operation)>,
}

/// Registers a method.
macro_rules! method {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[must_use]
        pub(crate) fn $name<T: 'static>(
            mut self,
            handler: impl Handler<T, Arc<Api>>,
            operation: Operation,
        ) -> Self {
            self.router = self.router.$name(handler);
            self.operations.push((stringify!($name), operation));
            self
        }
    };
}

impl Methods {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// None yet; all others lead to this handler, which refuses them.
    pub(crate) fn refused_by<T: 'static>(handler: impl Handler<T, Arc<Api>>) -> Self {
        Self { router: any(handler), operations: Vec::new() }
    }

    method!(get, "`GET`, and `HEAD` unless that is registered.");
    method!(head, "`HEAD`.");
    method!(post, "`POST`.");
    method!(put, "`PUT`.");
    method!(patch, "`PATCH`.");
    method!(delete, "`DELETE`.");
}
