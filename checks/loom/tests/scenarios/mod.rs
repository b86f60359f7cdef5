//! The scenarios that are explored, by name.

pub mod arrive;
pub mod depart;
pub mod lazy;
pub mod lifetime;
pub mod request;
pub mod tags;
pub mod trim;

/// Hands all scenarios, as `module::name`, to a macro.
macro_rules! with_scenarios {
    ($then:ident) => {
        $then! {
            arrive::switch_in_vs_flush,
            arrive::tagged_switch_in_vs_flush,
            arrive::lazy_return_vs_flush,
            arrive::borrow_vs_unmap,
            arrive::online_vs_kernel_flush,
            arrive::switch_into_another_word_vs_flush,
            arrive::join_under_a_mark_vs_flush,
            depart::unmap_under_user,
            depart::enter_lazy_vs_flush,
            depart::leave_vs_flush,
            depart::switch_away_vs_table_free,
            depart::kept_bit_switch_away_vs_table_free,
            depart::lazy_vs_table_free,
            depart::offline_vs_kernel_flush,
            depart::unmap_under_kernel,
            depart::user_mode_vs_kernel_flush,
            depart::back_on_line_vs_kernel_flush,
            lazy::lazy_return_elsewhere_vs_unmap,
            lazy::lazy_return_after_another_space_vs_unmap,
            lazy::lazy_return_after_another_space_vs_table_free,
            lazy::lazy_return_elsewhere_vs_final_drop,
            lifetime::lazy_vs_final_drop,
            lifetime::switch_away_vs_final_drop,
            lifetime::put_vs_teardown,
            lifetime::upgrade_vs_last_put,
            lifetime::upgrade_vs_another_put,
            lifetime::struct_drop_vs_free,
            lifetime::spaces_made_at_once,
            request::coalesced_ipis,
            request::two_flushers,
            request::two_flushers_one_target,
            request::nested_gathers,
            request::recall_vs_record,
            request::recall_vs_overwrite,
            request::record_vs_record,
            tags::two_spaces_take_a_tag,
            tags::renewal_vs_lock_free_switch,
            tags::renewal_vs_broadcast,
            tags::two_spaces_are_shared,
            tags::reuse_after_sharing,
            trim::kept_bit,
            trim::bit_gone_before_the_answer,
            trim::a_third_frees_what_was_trimmed,
            trim::trim_vs_enter_lazy,
            trim::trim_of_an_offline_cpu,
            trim::trim_of_a_cpu_that_comes_back,
            trim::back_before_the_request_is_taken_back,
            trim::trim_that_unwinds_vs_answer,
        }
    };
}
