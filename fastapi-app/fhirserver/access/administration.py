"""What administrators do: users, roles; and what everybody does with keys for programs of their own."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from fhirserver.access.accounts import checked_user, in_person, new_id
from fhirserver.access.authentication import ADMIN, Identified, digest
from fhirserver.access.errors import conflict, invalid_request, invalid_scope, not_found
from fhirserver.access.passwords import Passwords, generated_password
from fhirserver.access.policy import require_sound
from fhirserver.access.scopes import InvalidScope, parse_scopes
from fhirserver.access.store import ApiKey, IdentityStore, Role, User
from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.definitions import Definitions

KEY_PREFIX = "fhir_"
_LONGEST_KEY_LIFE = timedelta(days=366)
_FHIR_USERS = ("Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person")


class Administration:
    """Users and roles. Nobody takes the last administrator away."""

    def __init__(
        self,
        store: IdentityStore,
        passwords: Passwords,
        definitions: Definitions,
        zone: tzinfo,
        clock: Callable[[], datetime],
    ):
        self._store = store
        self._passwords = passwords
        self._definitions = definitions
        self._zone = zone
        self._clock = clock

    async def users(self, after: str, count: int) -> Sequence[User]:
        """A page of users."""
        return await self._store.users(after, count)

    async def add_user(
        self,
        username: str,
        email: str,
        full_name: str,
        roles: Sequence[str],
        fhir_user: str | None = None,
        password: str | None = None,
    ) -> tuple[User, str | None]:
        """A new user, and the password that was made for them if none is given."""
        await self._require_roles(roles)
        generated = generated_password() if password is None else None
        chosen = password if password is not None else str(generated)
        self._passwords.require_good(chosen, (username, email.partition("@")[0]))
        hashed = await self._passwords.hash(chosen)
        user = checked_user(username, email, full_name, roles, hashed, self._clock())
        user = replace(user, fhir_user=_fhir_user(fhir_user))
        if not await self._store.add_user(user):
            raise conflict("this username is taken")
        return user, generated

    async def has_admin(self) -> bool:
        """Whether there is an administrator."""
        return await self._store.has_user_in(await self.admin_roles())

    async def add_admin(self, username: str, password: str | None) -> tuple[User, str | None]:
        """A new administrator, and the password that was made if none is given."""
        return await self.add_user(username, f"{username}@localhost", username, ["admin"], None, password)

    async def change_user(
        self,
        username: str,
        roles: Sequence[str] | None = None,
        disabled: bool | None = None,
        fhir_user: str | None = None,
    ) -> User:
        """The user with other roles, disabled or enabled, or with the resource that stands for them (`""`: none)."""
        before = user = await self._store.user_named(username.lower())
        if user is None or before is None:
            raise not_found("there is no such user")
        if roles is not None:
            await self._require_roles(roles)
            user = replace(user, roles=tuple(roles))
        if disabled is not None:
            user = replace(user, disabled=disabled)
        if fhir_user is not None:
            user = replace(user, fhir_user=_fhir_user(fhir_user) if fhir_user else None)
        admin_roles = await self.admin_roles()
        leaves = _is_one(before, admin_roles) and not _is_one(user, admin_roles)
        if leaves and not await self._store.has_user_in(admin_roles, besides=user.id):
            raise conflict("there would be no administrator left")
        await self._store.save_user(user)
        if user.disabled:
            await self._store.revoke_sign_ins(user.id)
        return user

    async def reset_password(self, username: str) -> str:
        """A new password for the user, whose sign-ins end."""
        user = await self._store.user_named(username.lower())
        if user is None:
            raise not_found("there is no such user")
        password = generated_password()
        await self._store.save_user(replace(user, password_hash=await self._passwords.hash(password)))
        await self._store.revoke_sign_ins(user.id)
        return password

    async def roles(self) -> Sequence[Role]:
        """All roles."""
        return await self._store.roles()

    async def save_role(self, role: Role) -> None:
        """Add or replace a role. `invalid_scope` for scopes that make no sense."""
        if not role.name.isidentifier() or not role.name.isascii() or len(role.name) > 64:
            raise invalid_request("a role's name is a word of letters, digits and _")
        if len(role.description) > 1000 or not role.description.isprintable():
            raise invalid_request("a description has up to 1000 printable characters")
        if role.name in await self.admin_roles() and ADMIN not in role.scopes.split():
            others = [name for name in await self.admin_roles() if name != role.name]
            if not await self._store.has_user_in(others):
                raise conflict("there would be no administrator left")
        await self._store.save_role(replace(role, scopes=self._checked(role.scopes)))

    async def remove_role(self, name: str) -> None:
        """Remove a role that nobody has."""
        if not await self._store.remove_role(name):
            raise conflict("there is no such role, or a user has it")

    async def admin_roles(self) -> Sequence[str]:
        """The roles of administrators."""
        return [role.name for role in await self._store.roles() if ADMIN in role.scopes.split()]

    async def add_api_key(
        self, identified: Identified, name: str, scope: str, lifetime: timedelta
    ) -> tuple[ApiKey, str]:
        """A key for a program of the caller's, and the secret, which is told only now.

        It can do what both its scope and its user's roles allow.
        """
        user = in_person(identified)
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise invalid_request("the name of a key has 1 to 100 printable characters")
        if not timedelta(0) < lifetime <= _LONGEST_KEY_LIFE:
            raise invalid_request(f"a key is good for up to {_LONGEST_KEY_LIFE.days} days")
        scope = self._checked(scope)
        if not scope:
            raise invalid_scope("a key needs a scope, such as system/Observation.rs")
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        key = ApiKey(new_id(), user.id, name, digest(secret), scope, now, now + lifetime)
        await self._store.add_api_key(key)
        return key, secret

    async def api_keys(self, identified: Identified) -> Sequence[ApiKey]:
        """The caller's keys."""
        return await self._store.api_keys(in_person(identified).id)

    async def revoke_api_key(self, identified: Identified, id: str) -> None:
        """End a key of the caller's; an administrator may end anybody's."""
        if not await self._store.revoke_api_key(id, None if identified.is_admin else in_person(identified).id):
            raise not_found("there is no such key")

    def _checked(self, scope: str) -> str:
        try:
            require_sound(parse_scopes(scope), self._definitions, self._zone, self._clock())
        except InvalidScope as error:
            raise invalid_scope(str(error)) from error
        return " ".join(scope.split())

    async def _require_roles(self, roles: Sequence[str]) -> None:
        known = {role.name for role in await self._store.roles()}
        unknown = [role for role in roles if role not in known]
        if unknown or not roles:
            raise invalid_request(f"the roles are {', '.join(sorted(known))}")


def _is_one(user: User, roles: Sequence[str]) -> bool:
    return not user.disabled and not set(roles).isdisjoint(user.roles)


def _fhir_user(text: str | None) -> str | None:
    if text is None:
        return None
    target = parse_reference(text)
    if target is None or target.kind != "local" or target.resource_type not in _FHIR_USERS or target.version:
        raise invalid_request(f"fhir_user is a reference to one of {', '.join(_FHIR_USERS)}, such as Patient/1")
    return f"{target.resource_type}/{target.id}"
