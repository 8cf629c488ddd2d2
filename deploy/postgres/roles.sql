-- Three roles with the least rights. Run this file as a superuser or as the owner of the database:
--
--   psql --dbname=spool --file=roles.sql      once before the first `spool migrate`, and once after each migration
--
-- spool_owner   owns the tables. For `spool migrate` only.
-- spool_server  serves. It reads and writes rows, and changes no schema: set SPOOL_MIGRATE=off at the servers.
-- spool_reader  reads for reports. It reads no secret and no digest of one.
--
-- The roles have no password: set one (`\password spool_server`), or let pg_hba.conf authenticate them. A second run
-- changes nothing. docs/database-roles.md has the reasons.

begin;

do $$
declare
  role text;
begin
  foreach role in array array['spool_owner', 'spool_server', 'spool_reader'] loop
    if not exists (select from pg_roles where rolname = role) then
      execute format('create role %I login nosuperuser nocreatedb nocreaterole noreplication', role);
    end if;
  end loop;
  -- An administrator who is no superuser acts for the owner below.
  if not pg_has_role('spool_owner', 'usage') then
    execute format('grant spool_owner to %I', current_user);
  end if;
  execute format('revoke connect, temporary on database %I from public', current_database());
  execute format('grant connect on database %I to spool_owner, spool_server, spool_reader', current_database());
end
$$;

revoke create on schema public from public;
grant usage, create on schema public to spool_owner;
grant usage on schema public to spool_server, spool_reader;

-- Tables of later steps, and of packages of kinds, are served as soon as they exist. The reader gets none of them before
-- this file names it: a new table may hold secrets.
alter default privileges for role spool_owner in schema public
  grant select, insert, update, delete on tables to spool_server;
alter default privileges for role spool_owner in schema public grant usage on sequences to spool_server;

-- A report that runs for hours would keep vacuum from its work.
alter role spool_reader set statement_timeout = '5min';
alter role spool_reader set idle_in_transaction_session_timeout = '1min';

-- To see the transactions of other roles, `spool doctor` and the servers' checks need this. It shows the statements of the
-- whole database server, so it is left to you:
-- grant pg_read_all_stats to spool_server;

do $$
declare
  entry record;
begin
  for entry in
    select c.relname as name, pg_get_userbyid(c.relowner) as owner, r.name is not null as is_named,
           case when r.name is null then 'select, insert, update, delete' else r.serves end as serves, r.reads
    from pg_class c left join (values
      ('tasks',                     'select, insert, update, delete',         'select'),
      ('task_events',               'select, insert, delete',                 'select'),
      ('packed_events',             'select, insert, delete',                 'select'),
      ('tape_events',               'select',                                 'select'),
      ('task_requests',             'select, insert, delete',                 'select'),
      ('task_exclusives',           'select, insert, delete',                 'select'),
      ('removed_tasks',             'select, insert, update, delete',         'select'),
      ('removal_hooks',             'select, insert, update, delete',         'select'),
      ('hooked_kinds',              'select, insert',                         'select'),
      ('sweep_cursors',             'select, insert, update, delete',         'select'),
      ('sessions',                  'select, insert, update, delete',
        'select (session_id, namespace, host, pid, started_at, expires_at, kinds, capacity, seen_at, connection, stalled,
                 is_leaving, reads_packed, knows_shards)'),
      ('namespaces',                'select, insert, update',                 'select'),
      -- The URLs of shards may hold passwords. Shards and moves are changed by the owner.
      ('shards',                    'select',                                 'select (name, state, added_at)'),
      ('namespace_moves',           'select',                                 'select'),
      ('moved_namespaces',          'select',                                 'select'),
      ('tokens',                    'select, insert, update (revoked_at, revoked_by, changed_at)',
        'select (token_id, name, grants, created_at, created_by, expires_at, revoked_at, revoked_by, changed_at)'),
      ('signing_keys',              'select, insert, delete',                 null),
      -- The retention of the audit log deletes its oldest acts. No act is changed.
      ('audit_events',              'select, insert, delete',                 'select'),
      ('documents',                 'select, insert, update, delete',         'select'),
      ('chunks',                    'select, insert, update, delete',         'select'),
      ('pages',                     'select, insert, update, delete',         'select'),
      ('kind_migrations',           'select',                                 'select'),
      ('spool_migrations',          'select',                                 'select'),
      ('spool_migrations_lock',     null,                                     null),
      -- The first pack writes that programs without packs must not start any more.
      ('spool_schema_compatibility', 'select, update (runs_from)',            'select')
    ) as r (name, serves, reads) on r.name = c.relname
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
  loop
    if entry.owner <> 'spool_owner' then
      if entry.is_named then
        raise warning 'the table % belongs to % and is left as it is; see docs/database-roles.md', entry.name, entry.owner;
      end if;
      continue;
    end if;
    if entry.is_named then
      execute format('revoke all on public.%I from spool_server, spool_reader', entry.name);
    end if;
    if entry.serves is not null then
      execute format('grant %s on public.%I to spool_server', entry.serves, entry.name);
    end if;
    if entry.reads is not null then
      execute format('grant %s on public.%I to spool_reader', entry.reads, entry.name);
    end if;
  end loop;
end
$$;

commit;
