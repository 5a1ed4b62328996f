//! Users: who makes and changes which, and what is told of it.

use crate::fakes::{World, caller, caller_of};
use crate::logins::{PASSWORD, log_in, new_user};
use crate::tokens::put_tenant;
use tollbook_app::users::{NewUser, UserChange};
use tollbook_kit::fault::Code;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::audit::Outcome;
use tollbook_model::tenant::TenantState;
use uuid::Uuid;

#[tokio::test]
async fn an_admin_makes_changes_and_removes_the_users_of_his_tenant() {
    let world = World::new();
    let app = world.app().await;
    put_tenant(&world, "acme", TenantState::Open);
    let (admin, stranger) = (caller_of("acme", Role::Admin), caller(Role::Operator));
    let user = app.users.create(&admin, new_user("Eve@Example", Role::Viewer)).await.unwrap();
    assert_eq!((user.username.as_str(), user.tenant.as_str(), user.enabled), ("eve@example", "acme", true));
    assert_eq!(world.last_entry("acme").action, "user.create");
    let taken = app.users.create(&stranger, new_user("eve@example", Role::Viewer)).await.unwrap_err();
    assert_eq!(taken.code(), Code::Conflict, "names are unique in the whole instance");
    assert_eq!(app.users.list(&admin).await.unwrap(), std::slice::from_ref(&user));
    assert!(app.users.list(&stranger).await.unwrap().is_empty());

    let other = Uuid::from_u128(1);
    for id in [user.id, other] {
        let password = UserChange { password: Some(Secret::new(PASSWORD.into())), ..UserChange::default() };
        let faults = [
            app.users.find(&stranger, id).await.err(),
            app.users.change(&stranger, id, UserChange::default()).await.err(),
            app.users.change(&stranger, id, password).await.err(),
            app.users.remove(&stranger, id).await.err(),
        ];
        for fault in faults {
            let fault = fault.unwrap();
            assert_eq!(
                (fault.code(), fault.message()),
                (Code::NotFound, "no such user; GET /api/v1/users lists them")
            );
        }
    }
    let change = UserChange {
        role: Some(Role::Auditor),
        email: Some(Some("eve@example.net".into())),
        password: Some(Secret::new("another password".into())),
        ..UserChange::default()
    };
    let changed = app.users.change(&admin, user.id, change).await.unwrap();
    assert!(changed.otpauth_uri.is_none());
    assert_eq!(app.users.find(&admin, user.id).await.unwrap(), changed.user);
    assert_eq!((changed.user.role, changed.user.email.as_deref()), (Role::Auditor, Some("eve@example.net")));
    let entry = world.last_entry("acme");
    assert_eq!(entry.action, "user.change");
    assert_eq!(entry.reason.as_deref(), Some("new password, role now auditor, new email"));
    assert!(log_in(&app, "eve@example", PASSWORD).await.is_err());
    assert!(log_in(&app, "eve@example", "another password").await.is_ok());
    let entries = world.audit("acme").len();
    let as_it_is = UserChange {
        role: Some(Role::Auditor),
        email: Some(Some("eve@example.net".into())),
        enabled: Some(true),
        second_factor: Some(false),
        ..UserChange::default()
    };
    for change in [UserChange::default(), as_it_is] {
        app.users.change(&admin, user.id, change).await.unwrap();
    }
    assert_eq!(world.audit("acme").len(), entries, "nothing changed, nothing told");

    app.users.remove(&admin, user.id).await.unwrap();
    assert_eq!(world.last_entry("acme").action, "user.delete");
    assert!(app.users.list(&admin).await.unwrap().is_empty());
}

#[tokio::test]
async fn others_than_admins_are_refused_and_that_is_told() {
    let world = World::new();
    let app = world.app().await;
    let user = app.users.create(&caller(Role::Admin), new_user("eve", Role::Viewer)).await.unwrap();
    for role in [Role::Source, Role::Viewer, Role::Analyst, Role::Auditor] {
        let caller = caller(role);
        let refused = [
            app.users.create(&caller, new_user("adam", Role::Viewer)).await.err(),
            app.users.list(&caller).await.err(),
            app.users.find(&caller, user.id).await.err(),
            app.users.change(&caller, user.id, UserChange::default()).await.err(),
            app.users.remove(&caller, user.id).await.err(),
        ];
        for fault in refused {
            assert_eq!(fault.unwrap().code(), Code::Forbidden, "{role:?}");
            assert_eq!(world.last_entry("default").outcome, Outcome::Denied);
        }
    }
}

#[tokio::test]
async fn an_admin_cannot_become_an_operator_by_way_of_users() {
    let world = World::new();
    let app = world.app().await;
    put_tenant(&world, "acme", TenantState::Open);
    let (admin, operator) = (caller(Role::Admin), caller(Role::Operator));
    let boss = app.users.create(&operator, new_user("boss", Role::Operator)).await.unwrap();
    let eve = app.users.create(&admin, new_user("eve", Role::Admin)).await.unwrap();
    let to_operator = UserChange { role: Some(Role::Operator), ..UserChange::default() };
    let password = UserChange { password: Some(Secret::new(PASSWORD.into())), ..UserChange::default() };
    let refused = [
        app.users.create(&admin, new_user("adam", Role::Operator)).await.err(),
        app.users.change(&admin, eve.id, to_operator.clone()).await.err(),
        app.users.change(&admin, boss.id, password).await.err(),
        app.users.remove(&admin, boss.id).await.err(),
    ];
    for fault in refused {
        assert_eq!(fault.unwrap().code(), Code::Forbidden);
        assert_eq!(world.last_entry("default").outcome, Outcome::Denied);
    }
    let elsewhere =
        app.users.create_for(&operator, "acme", new_user("adam", Role::Operator)).await.unwrap_err();
    assert_eq!((elsewhere.code(), elsewhere.details()[0].name.as_str()), (Code::Invalid, "role"));
    app.users.change(&operator, eve.id, to_operator).await.unwrap();
    app.users.remove(&operator, boss.id).await.unwrap();
}

#[tokio::test]
async fn all_faults_are_in_one_answer() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let names = |fault: tollbook_kit::fault::Fault| {
        fault.details().iter().map(|detail| detail.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let new = NewUser {
        username: "two words".into(),
        password: Secret::new("short".into()),
        role: Role::Source,
        email: Some("nowhere".into()),
    };
    let fault = app.users.create(&admin, new).await.unwrap_err();
    assert_eq!(names(fault), "username password role email");
    let change = UserChange {
        password: Some(Secret::new("short".into())),
        role: Some(Role::Source),
        email: Some(Some("nowhere".into())),
        ..UserChange::default()
    };
    let fault = app.users.change(&admin, Uuid::nil(), change).await.unwrap_err();
    assert_eq!(names(fault), "password role email", "before anything is looked up");
}

#[tokio::test]
async fn the_operator_makes_a_tenants_first_admin() {
    let world = World::new();
    let app = world.app().await;
    put_tenant(&world, "acme", TenantState::Open);
    let operator = caller(Role::Operator);
    let user = app.users.create_for(&operator, "acme", new_user("eve", Role::Admin)).await.unwrap();
    assert_eq!(user.tenant.as_str(), "acme");
    let entry = world.last_entry("acme");
    assert_eq!((entry.action.as_str(), entry.actor), ("user.create", operator.actor.to_string()));
    let unknown = app.users.create_for(&operator, "nobody", new_user("adam", Role::Admin)).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let admin = app.users.create_for(&caller(Role::Admin), "acme", new_user("adam", Role::Admin)).await;
    assert_eq!(admin.unwrap_err().code(), Code::Forbidden);
}
